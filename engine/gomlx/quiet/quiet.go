// Package quiet keeps the log of GoMLX's libraries from the terminal: what they log, they return as errors too, and
// one of them logs before main where HOME is not set. It is imported for that effect alone. Packages without order
// among them are initialised by import path, so this one comes before github.com/gomlx.
package quiet

import (
	"flag"
	"io"

	"k8s.io/klog/v2"
)

func init() {
	var settings flag.FlagSet
	klog.InitFlags(&settings)
	settings.Set("stderrthreshold", "FATAL") // else errors go there whatever the output is
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}
