package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// pruneAccounts is how many accounts lose their old history in one transaction, so that writers never wait long.
const pruneAccounts = 100

// Prune removes the rows of history measurements that are older than before, account by account along the key.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	for _, sch := range jauge.Schemas() {
		if !sch.History {
			continue
		}
		if err := s.prune(ctx, sch, base.Nanos(before)); err != nil {
			return s.explain(base.OpPrune, "prune "+string(sch.Measurement), ended(ctx, err))
		}
	}
	return nil
}

type account struct{ platform, account string }

func (s *Store) prune(ctx context.Context, sch *jauge.Schema, before int64) error {
	var last account
	for {
		batch, err := s.accountsAfter(ctx, sch, last)
		if err != nil || len(batch) == 0 {
			return err
		}
		last = batch[len(batch)-1]
		if err := s.pruneBatch(ctx, sch, batch, before); err != nil {
			return err
		}
	}
}

// accountsAfter seeks the next accounts in the order of the key, one step each, without walking over their rows.
func (s *Store) accountsAfter(ctx context.Context, sch *jauge.Schema, after account) ([]account, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	seek := fmt.Sprintf(`SELECT platform, account FROM %s WHERE (platform, account) > (?, ?)
		ORDER BY platform, account LIMIT 1`, quote(string(sch.Measurement)))
	var out []account
	for len(out) < pruneAccounts {
		rows, err := p.ro.QueryContext(ctx, seek, after.platform, after.account)
		if err != nil {
			return nil, err
		}
		found := rows.Next()
		if found {
			err = rows.Scan(&after.platform, &after.account)
		}
		if err == nil {
			err = rows.Err()
		}
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
		if err != nil || !found {
			return out, err
		}
		out = append(out, after)
	}
	return out, nil
}

func (s *Store) pruneBatch(ctx context.Context, sch *jauge.Schema, batch []account, before int64) error {
	return s.change(ctx, "prune rows", func(w *writer, c sqldriver.ConnPrepareContext) error {
		for _, a := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			w.args = w.args[:0]
			w.bind(a.platform)
			w.bind(a.account)
			w.bind(before)
			if err := w.exec(ctx, c, shape{schema: sch, verb: expire}); err != nil {
				return err
			}
		}
		return nil
	})
}
