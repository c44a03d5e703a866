package pipeline

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"jauge.dev/jauge"
)

// formula is a KPI's text, parsed by the expression library, checked against the catalogue and made into closures.
//
//	likes + 2 * comments                      sums of the window
//	end(followers) - start(followers)         gauges at the window's boundaries; a gauge alone is its end
//	(likes + shares) / followers              one division at most, at the top: numerator and denominator are stored
//	weighted / basis                          the platform's weights, and its own denominator
//	posts_published / days                    calendar days of the window
type formula struct {
	num, den node
	basis    string // what the denominator is called; "" where there is none; "basis" stands for the platform's
	uses     map[jauge.Metric]bool
}

// operand is what a formula's part comes to: a number, nothing at all (never offered), or absent.
type operand struct {
	val    float64
	status status
	metric jauge.Metric // that is absent
	why    string       // of absent, without the metric
}

type status uint8

const (
	present status = iota
	dropped        // never offered: counts as nothing in a sum
	absent         // offered, but there is no value
)

// scope gives a formula its numbers.
type scope interface {
	sum(m jauge.Metric) operand
	gauge(m jauge.Metric, atStart bool) operand
	weighted() operand
	basis() operand
	days() float64
}

type node func(scope) operand

// Identifiers that are no metrics.
const (
	identDays     = "days"
	identWeighted = "weighted"
	identBasis    = "basis"
)

// compile checks a formula. Errors say what is wrong and what to write instead.
func compile(text string) (*formula, error) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("formula %q: %w", text, err)
	}
	f := &formula{uses: map[jauge.Metric]bool{}}
	top := tree.Node
	if b, ok := top.(*ast.BinaryNode); ok && b.Operator == "/" {
		if f.den, err = f.node(b.Right); err != nil {
			return nil, fmt.Errorf("formula %q: denominator: %w", text, err)
		}
		if f.basis = basisName(b.Right); f.basis == "" {
			return nil, fmt.Errorf("formula %q: its denominator is no metric: a ratio needs one that can be stored and named", text)
		}
		top = b.Left
	}
	if f.num, err = f.node(top); err != nil {
		return nil, fmt.Errorf("formula %q: %w", text, err)
	}
	if len(f.uses) == 0 {
		return nil, fmt.Errorf("formula %q speaks of no metric", text)
	}
	return f, nil
}

// basisName is what a denominator is called in the field basis.
func basisName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.CallNode:
		if len(n.Arguments) == 1 {
			return basisName(n.Arguments[0])
		}
	case *ast.BinaryNode:
		if l, r := basisName(n.Left), basisName(n.Right); l != "" && r != "" {
			return l + n.Operator + r
		} else if l != "" {
			return l
		} else {
			return r
		}
	}
	return ""
}

func (f *formula) node(n ast.Node) (node, error) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return constant(float64(n.Value)), nil
	case *ast.FloatNode:
		return constant(n.Value), nil
	case *ast.IdentifierNode:
		return f.identifier(n.Value)
	case *ast.CallNode:
		return f.call(n)
	case *ast.UnaryNode:
		return f.unary(n)
	case *ast.BinaryNode:
		return f.binary(n)
	}
	return nil, fmt.Errorf("only numbers, metrics, + - * /, start() and end() are known, not %q", n.String())
}

func constant(v float64) node { return func(scope) operand { return operand{val: v} } }

func (f *formula) identifier(name string) (node, error) {
	switch name {
	case identDays:
		return func(s scope) operand { return operand{val: s.days()} }, nil
	case identWeighted:
		f.uses[identWeighted] = true
		return func(s scope) operand { return s.weighted() }, nil
	case identBasis:
		f.uses[identBasis] = true
		return func(s scope) operand { return s.basis() }, nil
	}
	m, ok := jauge.LookupMetric(jauge.Metric(name))
	if !ok {
		return nil, fmt.Errorf("metric %q is not in the catalogue", name)
	}
	f.uses[m.Name] = true
	if m.Fold == jauge.FoldLast {
		return func(s scope) operand { return s.gauge(m.Name, false) }, nil
	}
	return func(s scope) operand { return s.sum(m.Name) }, nil
}

func (f *formula) call(n *ast.CallNode) (node, error) {
	fn, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || (fn.Value != "start" && fn.Value != "end") || len(n.Arguments) != 1 {
		return nil, fmt.Errorf("only start(metric) and end(metric) can be called, not %q", n.String())
	}
	arg, ok := n.Arguments[0].(*ast.IdentifierNode)
	if !ok {
		return nil, fmt.Errorf("%s() takes a metric, not %q", fn.Value, n.Arguments[0].String())
	}
	m, ok := jauge.LookupMetric(jauge.Metric(arg.Value))
	if !ok {
		return nil, fmt.Errorf("metric %q is not in the catalogue", arg.Value)
	}
	if m.Fold != jauge.FoldLast {
		return nil, fmt.Errorf("%s(%s): %s adds up over a window and has no value at its %s; start() and end() take gauges, such as followers",
			fn.Value, m.Name, m.Name, fn.Value)
	}
	f.uses[m.Name] = true
	atStart := fn.Value == "start"
	return func(s scope) operand { return s.gauge(m.Name, atStart) }, nil
}

func (f *formula) unary(n *ast.UnaryNode) (node, error) {
	x, err := f.node(n.Node)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "+":
		return x, nil
	case "-":
		return func(s scope) operand { o := x(s); o.val = -o.val; return o }, nil
	}
	return nil, fmt.Errorf("operator %q is not known", n.Operator)
}

func (f *formula) binary(n *ast.BinaryNode) (node, error) {
	x, err := f.node(n.Left)
	if err != nil {
		return nil, err
	}
	y, err := f.node(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "+":
		return func(s scope) operand { return add(x(s), y(s), 1) }, nil
	case "-":
		return func(s scope) operand { return add(x(s), y(s), -1) }, nil
	case "*":
		return func(s scope) operand { return times(x(s), y(s)) }, nil
	case "/":
		return nil, fmt.Errorf("%q divides inside the formula: one division at the top is allowed, so that numerator and denominator can be stored", n.String())
	}
	return nil, fmt.Errorf("operator %q is not known: use + - * and one / at the top", n.Operator)
}

func add(x, y operand, sign float64) operand {
	switch {
	case x.status == absent:
		return x
	case y.status == absent:
		return y
	case x.status == dropped && y.status == dropped:
		return x
	case x.status == dropped:
		return operand{val: sign * y.val}
	case y.status == dropped:
		return x
	}
	return operand{val: x.val + sign*y.val}
}

func times(x, y operand) operand {
	switch {
	case x.status == absent:
		return x
	case y.status == absent:
		return y
	case x.status == dropped:
		return x
	case y.status == dropped:
		return y
	}
	return operand{val: x.val * y.val}
}

// result is a KPI's value in a window, or why it has none.
type result struct {
	num, den, val float64 // den is NaN where the KPI is no ratio
	metric        jauge.Metric
	why           string // not empty: no value
}

// reason says why there is no value, "" where there is one.
func (r result) reason() string {
	if r.metric == "" {
		return r.why
	}
	return string(r.metric) + ": " + r.why
}

// eval evaluates a formula; a result without a value says why.
func (f *formula) eval(s scope) result {
	n := f.num(s)
	switch {
	case n.status == absent:
		return result{metric: n.metric, why: n.why}
	case n.status == dropped:
		return result{why: "the platform offers none of its metrics"}
	}
	if f.den == nil {
		return finite(result{num: n.val, den: math.NaN(), val: n.val})
	}
	d := f.den(s)
	switch {
	case d.status == absent:
		return result{metric: d.metric, why: d.why}
	case d.status == dropped:
		return result{why: "denominator: the platform does not offer it"}
	case d.val == 0:
		return result{why: "denominator is 0"}
	}
	return finite(result{num: n.val, den: d.val, val: n.val / d.val})
}

func finite(r result) result {
	if math.IsNaN(r.val) || math.IsInf(r.val, 0) {
		return result{why: "the result is not finite"}
	}
	return r
}
