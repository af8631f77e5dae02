// Package page holds what the program's HTML pages share: one style, which has a light and a dark form, fits a phone
// and prints, and the line that says how a page was made. A page needs no other file and no network.
//
// What is on a page is its caller's business.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed style.css
var style string

// Functions are what every page's template may call: style gives the text of a style element.
var Functions = template.FuncMap{"style": func() template.CSS { return template.CSS(style) }}

// Made tells how a page was made.
type Made struct {
	Command string // as typed in a shell
	Version string // of the program
	At      time.Time
}

// Date returns the day and the minute, in UTC.
func (m Made) Date() string { return m.At.UTC().Format("2006-01-02 15:04 UTC") }

// String says it in a sentence.
func (m Made) String() string {
	return fmt.Sprintf("Made by `%s`, runner %s, on %s.", m.Command, m.Version, m.Date())
}
