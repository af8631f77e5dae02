package dataset

import (
	"os"
	"strings"
	"testing"
)

// An error names the file and the image's id.
func TestDecodeErrors(t *testing.T) {
	good, err := os.ReadFile("picture/testdata/420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		data []byte
		w, h int
		want string
	}{
		{"empty", nil, 35, 21, "empty"},
		{"text", []byte("<html>not found</html>"), 35, 21, "neither a JPEG nor a PNG"},
		{"truncated", good[:len(good)*2/3], 35, 21, "damaged or truncated"},
		{"other size", good, 21, 35, "size is 35 x 21 pixels, the annotations say 21 x 35"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Set{Dir: dir, Split: "val", Images: []Image{{ID: 77, File: "a.jpg", Width: tt.w, Height: tt.h}}}
			put(t, s.Path(0), tt.data)
			_, err := s.Decode(0)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if !strings.Contains(err.Error(), "image id 77") || !strings.Contains(err.Error(), s.Path(0)) {
				t.Errorf("error %q names not both the image id 77 and the file", err)
			}
		})
	}
}
