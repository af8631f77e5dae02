// Package pagetest checks a page of HTML as people read it who do not see it, or see it on a phone, in the dark or on
// paper, by the rules that a program can check (WCAG 2.2, success criteria 1.1.1, 1.3.1, 1.4.1, 2.4.2, 3.1.1, 4.1.2).
package pagetest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Problems lists what is wrong with a page: elements that are not closed in order, anything loaded from elsewhere, a
// picture without a text, a table without a caption or with header cells of no scope, a section without a name, a
// heading that skips a level, an id that is given twice or refers to nothing.
func Problems(text []byte) []string {
	p := page{ids: map[string]bool{}, has: map[string]int{}}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(p.list, fmt.Sprintf("not well formed: %v", err))
		}
		switch e := token.(type) {
		case xml.StartElement:
			p.start(e)
		case xml.EndElement:
			p.end(e.Name.Local)
		case xml.CharData:
			p.text(string(e))
		}
	}
	for _, one := range []string{"html", "title", "main", "h1"} {
		if p.has[one] != 1 {
			p.add("%d elements %s, expected one", p.has[one], one)
		}
	}
	if p.has["viewport"] == 0 {
		p.add("no viewport: a phone would show the page in small")
	}
	for _, id := range p.refers {
		if !p.ids[id] {
			p.add("nothing has the id %q that is referred to", id)
		}
	}
	for _, part := range []string{"prefers-color-scheme: dark", "@media print"} {
		if !bytes.Contains(text, []byte(part)) {
			p.add("the style has no %s", part)
		}
	}
	for _, wrong := range []string{"NaN", "ZgotmplZ", "url(", "@import", "<no value>"} {
		if bytes.Contains(text, []byte(wrong)) {
			p.add("the page has %q", wrong)
		}
	}
	return p.list
}

// page is what has been read of a page.
type page struct {
	list    []string
	open    []string
	has     map[string]int
	ids     map[string]bool
	refers  []string
	heading int
	caption bool // of the table that is open
	cell    *strings.Builder
}

func (p *page) add(format string, args ...any) { p.list = append(p.list, fmt.Sprintf(format, args...)) }

func (p *page) start(e xml.StartElement) {
	name := e.Name.Local
	attr := map[string]string{}
	for _, a := range e.Attr {
		attr[a.Name.Local] = a.Value
		switch a.Name.Local {
		case "src", "onclick", "onload":
			p.add("element %s has %s", name, a.Name.Local)
		case "href":
			if id, ok := strings.CutPrefix(a.Value, "#"); ok {
				p.refers = append(p.refers, id)
			} else {
				p.add("element %s refers to %s", name, a.Value)
			}
		case "id":
			if p.ids[a.Value] {
				p.add("the id %q is given twice", a.Value)
			}
			p.ids[a.Value] = true
		case "aria-labelledby":
			p.refers = append(p.refers, strings.Fields(a.Value)...)
		}
	}
	named := strings.TrimSpace(attr["aria-label"]+attr["aria-labelledby"]) != ""
	if !p.inside("svg") {
		p.has[name]++
	}
	switch name {
	case "html":
		if attr["lang"] == "" {
			p.add("the language is not given")
		}
	case "meta":
		if attr["name"] == "viewport" {
			p.has["viewport"]++
		}
	case "script", "link", "img", "iframe", "object":
		p.add("element %s", name)
	case "svg":
		if attr["aria-hidden"] != "true" && (attr["role"] != "img" || !named) {
			p.add("a picture has no role img with a name, and is not hidden: %v", attr)
		}
	case "h1", "h2", "h3", "h4":
		level := int(name[1] - '0')
		if level > p.heading+1 {
			p.add("a heading %s after one of level %d", name, p.heading)
		}
		p.heading = level
	case "section":
		if !named {
			p.add("a section without a name")
		}
	case "table":
		p.caption = named
	case "caption":
		p.caption = true
	case "th":
		if s := attr["scope"]; s != "col" && s != "row" && s != "colgroup" && s != "rowgroup" {
			p.add("a header cell without scope")
		}
		p.cell = &strings.Builder{}
	}
	if attr["role"] == "img" && !named {
		p.add("element %s has the role img and no name", name)
	}
	if (attr["role"] == "region" || attr["tabindex"] != "") && !named {
		p.add("element %s can be reached and has no name", name)
	}
	p.open = append(p.open, name)
}

func (p *page) end(name string) {
	if len(p.open) > 0 {
		p.open = p.open[:len(p.open)-1]
	}
	switch name {
	case "table":
		if !p.caption {
			p.add("a table without a caption or a name")
		}
	case "th":
		if p.cell != nil && strings.TrimSpace(p.cell.String()) == "" {
			p.add("a header cell without text")
		}
		p.cell = nil
	}
}

func (p *page) text(s string) {
	if p.cell != nil {
		p.cell.WriteString(s)
	}
}

func (p *page) inside(name string) bool {
	for _, o := range p.open {
		if o == name {
			return true
		}
	}
	return false
}
