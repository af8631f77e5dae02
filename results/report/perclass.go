package report

import "slices"

// perClass lays out AP by class, for lines of that many characters; 0: of any length. Classes that find no room go
// into further sheets with the same rows.
func (t *Table) perClass(width int) []*sheet {
	names := t.classes()
	if !t.PerClass || len(names) == 0 {
		return nil
	}
	main := t.sheet(width)
	rows := t.rows()
	naming := slices.Clone(main.columns[:main.left()])
	used := 0
	for i := range naming {
		used += naming[i].width()
	}
	var out []*sheet
	var now *sheet
	room := 0
	for _, name := range names {
		c := tableColumn{name: name, head: name, kind: detail}
		for _, r := range rows {
			c.cells = append(c.cells, cell{text: estimateText(r.class(name))})
		}
		if now == nil || width > 0 && c.width() > room {
			now = &sheet{title: "AP by class", columns: slices.Clone(naming), blocks: main.blocks}
			if len(out) > 0 {
				now.title = "AP by class, continued"
			}
			out = append(out, now)
			room = width - used
		}
		now.columns = append(now.columns, c)
		room -= c.width()
	}
	return out
}
