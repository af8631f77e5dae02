package report

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// factorText prints a setting in its shortest form, as flags and grid files take it; a list in
// brackets.
func factorText(v any) string {
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Invalid:
		return "none"
	case reflect.Float32:
		return strconv.FormatFloat(rv.Float(), 'g', -1, 32)
	case reflect.Float64:
		return strconv.FormatFloat(rv.Float(), 'g', -1, 64)
	case reflect.Pointer:
		if rv.IsNil() {
			return "none"
		}
		return factorText(rv.Elem().Interface())
	case reflect.Slice, reflect.Array:
		parts := make([]string, rv.Len())
		for i := range parts {
			parts[i] = factorText(rv.Index(i).Interface())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return fmt.Sprint(v)
}
