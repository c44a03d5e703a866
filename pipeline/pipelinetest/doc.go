// Package pipelinetest is the pipeline's measuring stick: a batch oracle that recomputes every row from the whole set of
// pages, a generator of random histories, and the ways in which a history may reach the pipeline. Only test files may
// import it.
//
//	seed ──▶ Generate ──▶ History ──▶ Deliver ──▶ steps ──▶ the pipeline ──▶ rows ─┐
//	                         └──────▶ Oracle.Rows ─────────────────────────▶ rows ─┴▶ Diff
//
// The oracle is written from docs/rules.md sentence by sentence and shares no code with the pipeline: it keeps nothing,
// remembers nothing and is slow. The number of the rule stands beside the code that follows from it.
package pipelinetest
