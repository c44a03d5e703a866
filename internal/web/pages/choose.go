package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// option is something to follow, as the page shows it.
type option struct {
	Subject

	Initials string
	Hue      int
	Profile  string
}

type chooseView struct {
	Choice  Choice
	Grant   string
	Options []option
	Brand   string // chosen of the list
	New     string // typed
	Wrong   string // nothing, brand
}

func newOptions(c Choice) []option {
	out := make([]option, len(c.Subjects))
	for i, o := range c.Subjects {
		out[i] = option{Subject: o, Hue: hue(o.Key), Initials: initials(firstText(o.Name, o.Handle, o.Key))}
		if u, err := url.Parse(o.Avatar); err == nil && u.Scheme == "https" && u.Host != "" {
			out[i].Profile = o.Avatar
		}
	}
	return out
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

const mostID = 128 // bytes of a grant's id

func (s *Server) choice(r *http.Request) (Choice, string, error) {
	id := r.PathValue("grant")
	if len(id) > mostID {
		return Choice{}, "", &Problem{Kind: ProblemNotFound}
	}
	c, err := s.backend.Choice(r.Context(), id)
	return c, id, err //nolint:wrapcheck // the Backend's own words
}

// choosePage asks which of the accounts that a grant opens are to be followed, and under which brand.
func (s *Server) choosePage(w http.ResponseWriter, r *http.Request, _ identity) {
	c, id, err := s.choice(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := chooseView{Choice: c, Grant: id, Options: newOptions(c), Brand: c.Brand}
	if !slices.Contains(c.Brands, c.Brand) {
		v.Brand, v.New = "", c.Brand
	}
	if len(c.Subjects) == 1 { // nothing to choose
		v.Options[0].Chosen = true
	}
	s.show(w, r, page{Name: "choose", Data: v, Pictures: true})
}

// choose follows what was ticked, or everything.
func (s *Server) choose(w http.ResponseWriter, r *http.Request, _ identity) {
	c, id, err := s.choice(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	keys := chosen(c, r.PostForm)
	v := chooseView{Choice: c, Grant: id, Options: newOptions(c), Brand: clip(r.PostForm.Get("brand")), New: clip(strings.TrimSpace(r.PostForm.Get("new_brand")))}
	for i := range v.Options {
		v.Options[i].Chosen = slices.Contains(keys, v.Options[i].Key)
	}
	brand := firstText(v.New, v.Brand)
	switch {
	case len(keys) == 0:
		v.Wrong = "nothing"
	case !goodBrand(brand):
		v.Wrong = "brand"
	}
	if v.Wrong != "" {
		s.show(w, r, page{Name: "choose", Status: http.StatusUnprocessableEntity, Data: v, Pictures: true})
		return
	}
	if err := s.backend.Follow(r.Context(), id, keys, brand); err != nil {
		s.fail(w, r, named(err, c.Platform))
		return
	}
	http.Redirect(w, r, "/grants/"+url.PathEscape(id)+"/done", http.StatusSeeOther)
}

// chosen are the keys that were ticked and that the grant opens.
func chosen(c Choice, form url.Values) []string {
	var keys []string
	for _, o := range c.Subjects {
		if form.Get("all") != "" || slices.Contains(form["subject"], o.Key) {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

const mostBrand = 64 // characters

// goodBrand tells whether a text can name a brand: it becomes a tag of every row.
func goodBrand(b string) bool {
	return b != "" && utf8.RuneCountInString(b) <= mostBrand && utf8.ValidString(b) && b == strings.TrimSpace(b) &&
		!strings.ContainsFunc(b, func(c rune) bool { return !unicode.IsPrint(c) })
}

type doneView struct {
	Choice  Choice
	Options []option // that are followed
}

// done says what is followed now.
func (s *Server) done(w http.ResponseWriter, r *http.Request, _ identity) {
	c, _, err := s.choice(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := doneView{Choice: c}
	for _, o := range newOptions(c) {
		if o.Chosen {
			v.Options = append(v.Options, o)
		}
	}
	s.show(w, r, page{Name: "done", Data: v, Pictures: true})
}
