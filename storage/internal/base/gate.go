package base

import "context"

// Gate lets one caller in at a time; unlike at a mutex, a caller whose context ends stops waiting.
type Gate chan struct{}

// NewGate makes an open gate.
func NewGate() Gate { return make(Gate, 1) }

// Enter waits until the gate is free. After nil the caller must Leave.
func (g Gate) Enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EnterAlways waits for as long as it takes: for closing, which has no context.
func (g Gate) EnterAlways() { g <- struct{}{} }

// Leave frees the gate.
func (g Gate) Leave() { <-g }
