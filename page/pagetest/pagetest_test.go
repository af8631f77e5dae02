package pagetest

import (
	"slices"
	"strings"
	"testing"
)

const good = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>t</title><style>@media print {} @media (prefers-color-scheme: dark) {}</style></head><body><main><h1>t</h1>
<section aria-labelledby="a"><h2 id="a">a</h2><svg role="img" aria-label="p"><title>p</title></svg>
<table><caption>c</caption><tr><th scope="col">x</th></tr></table></section></main></body></html>`

// TestProblems: a good page has none, and each rule finds its own problem.
func TestProblems(t *testing.T) {
	if got := Problems([]byte(good)); got != nil {
		t.Errorf("a good page: %q", got)
	}
	for _, tt := range []struct{ from, to, want string }{
		{` lang="en"`, ``, "the language is not given"},
		{` role="img"`, ``, "a picture has no role img"},
		{` aria-label="p"`, ``, "a picture has no role img"},
		{` scope="col"`, ``, "a header cell without scope"},
		{`>x</th>`, `></th>`, "a header cell without text"},
		{`<caption>c</caption>`, ``, "a table without a caption"},
		{` aria-labelledby="a"`, ``, "a section without a name"},
		{`<h2 id="a">a</h2>`, `<h3 id="a">a</h3>`, "a heading h3 after one of level 1"},
		{` id="a"`, ``, `nothing has the id "a"`},
		{`<svg`, `<a href="http://x">x</a><svg`, "element a refers to http://x"},
		{`<svg`, `<img src="x">` + `<svg`, "element img"},
		{`<svg`, `<p id="a"></p><svg`, `the id "a" is given twice`},
		{`<main>`, `<div>`, "not well formed"},
		{`name="viewport"`, `name="x"`, "no viewport"},
		{`dark`, `light`, "the style has no prefers-color-scheme: dark"},
		{`>c<`, `>NaN<`, `the page has "NaN"`},
		{`<svg`, `<div tabindex="0"></div><svg`, "can be reached and has no name"},
	} {
		got := Problems([]byte(strings.Replace(good, tt.from, tt.to, 1)))
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.want) }) {
			t.Errorf("%s in place of %s: %q, expected %s", tt.to, tt.from, got, tt.want)
		}
	}
}
