package plan

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"focalgrid/setting"
)

// parseText reads a value as a flag gives it: text as it stands, anything else as in a file.
func (fd *field) parseText(text string) (any, error) {
	if fd.Kind == setting.Text {
		return text, nil
	}
	if len(text) > 4096 {
		return nil, errors.New("is too long")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
		return nil, fmt.Errorf("must be %s, is %q", fd.Form(), text)
	}
	return fd.parse(doc.Content[0])
}

// parse reads a scalar (or a list of numbers) strictly.
func (fd *field) parse(node *yaml.Node) (any, error) {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return nil, errors.New("is an anchor or alias, which is not read; write the value out")
	}
	if node.Style&yaml.TaggedStyle != 0 {
		return nil, fmt.Errorf("has a tag, %s; write the plain value", setting.Short(node.Tag))
	}
	if fd.Kind == setting.Numbers {
		if node.Kind != yaml.SequenceNode {
			return nil, fmt.Errorf("must be a list of numbers, is %s", kindOf(node))
		}
		list := make([]float64, len(node.Content))
		for i, e := range node.Content {
			if e.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("(value %d) must be a number, is %s", i+1, kindOf(e))
			}
			v, err := setting.ReadNumber(scalar(e))
			if err != nil {
				return nil, fmt.Errorf("(value %d) %w", i+1, err)
			}
			list[i] = v
		}
		return list, nil
	}
	if node.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("must be %s, is %s", fd.Form(), kindOf(node))
	}
	return fd.Scalar(scalar(node))
}

func scalar(n *yaml.Node) setting.Scalar {
	return setting.Scalar{
		Text:   n.Value,
		Quoted: n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0,
		Null:   n.Tag == "!!null",
	}
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "key: value pairs"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return scalar(n).String()
}
