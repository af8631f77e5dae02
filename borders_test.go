package focalgrid_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/build/constraint"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// border lists which of our packages a package may import, and why no more.
type border struct {
	may []string
	why string
}

// borders has a line for each package. Packages that only tests import, such
// as engine/enginetest, are in no list of imports.
var borders = map[string]border{
	"ablations":  {nil, "it holds files; package plan reads them"},
	"atomicfile": {nil, "a leaf: how a file is written does not depend on what is in it"},
	"safecsv":    {nil, "a leaf: a cell is made safe whatever it means"},
	"box":        {[]string{"portable", "setting"}, "a leaf: geometry is checked by hand, with four numbers a box"},
	"coco":       {[]string{"atomicfile", "guard"}, "the files of any detector can be read without ours"},
	"proc":       {nil, "a leaf: what the system reports does not depend on who asks"},
	"portable":   {nil, "a leaf: its functions depend on numbers alone"},
	"setting":    {nil, "a leaf: a setting is read and judged alike, whichever component declares it"},
	"weights":    {[]string{"atomicfile"}, "a file of tensors is read without knowing the network"},
	"guard":      {nil, "a leaf: a panic is passed on from any code"},
	"filelock":   {nil, "a leaf: a file is locked whatever is in it"},
	"localdisk":  {nil, "a leaf: where a file lies does not depend on what is in it"},
	"columns":    {nil, "a leaf: cells are laid out whatever they mean"},
	"nullable":   {nil, "a leaf: a number without a value is null in any JSON"},
	"stats":      {[]string{"nullable"}, "a leaf: a mean does not depend on what was measured"},
	"figure":     {[]string{"atomicfile"}, "a leaf: a line is drawn without knowing what it shows"},
	"engine":     {nil, "a leaf: a graph is data, and is read with no engine loaded"},
	"gpu":        {[]string{"filelock"}, "the GPUs of a machine are the same for any engine"},

	"engine/enginetest":  {[]string{"engine"}, "a conformance suite that knows one engine would be made to fit it"},
	"engine/gorgonia":    {[]string{"engine", "engine/kernel"}, "an engine sees a graph, not what it stands for"},
	"engine/gomlx":       {[]string{"engine", "engine/gomlx/quiet"}, "an engine sees a graph, not what it stands for"},
	"engine/gomlx/quiet": {nil, "a leaf: it comes before the libraries that it keeps quiet"},
	"engine/kernel":      {[]string{"guard", "portable"}, "kernels are arithmetic on slices, and are tested as such"},
	"engine/kernel/gen":  {nil, "the generator must build while the kernels do not"},

	"setting/settingtest": {[]string{"setting"}, "values for the tests of any component come from what it declares"},

	"loss":    {[]string{"box", "engine", "setting"}, "a loss must be checkable by hand, without building a network"},
	"model":   {[]string{"box", "columns", "engine", "portable", "setting"}, "a network's size and cost do not depend on how it is trained"},
	"optim":   {[]string{"engine", "portable", "setting"}, "an update rule sees numbers and their gradients alone"},
	"sampler": {[]string{"box", "guard", "portable", "setting"}, "which anchors learn what is a pure function of boxes and scores"},
	"dataset": {[]string{"atomicfile", "coco", "dataset/picture", "dataset/synthetic", "filelock", "guard", "setting"},
		"images and boxes on disk are the same for any detector"},
	"metrics": {[]string{"coco", "guard", "stats"}, "AP must be computable on detections from any detector"},

	"dataset/picture":   {nil, "a leaf: the pixels of a file do not depend on what is annotated in them"},
	"dataset/synthetic": {[]string{"setting"}, "what is drawn is a pure function of settings, and knows no file"},

	"metrics/report": {[]string{"atomicfile", "coco", "columns", "figure", "metrics", "nullable", "page", "safecsv"}, "how a number is shown is apart from what it is"},

	"paper":         {[]string{"setting"}, "the published figures are data, whatever we measured"},
	"paper/figures": {[]string{"figure", "loss", "model", "paper", "results/record", "setting", "stats"}, "a figure is drawn from formulas and records, and trains nothing"},
	"results":       {[]string{"atomicfile", "localdisk", "results/files", "results/record"}, "a results file must open on a machine with no ML installed"},

	"results/record": {[]string{"results/files", "stats"}, "a trial is recorded where there is no database, by a worker on any machine"},
	"results/files":  {[]string{"atomicfile"}, "a file named by its content is whole or not, whatever the database says of it"},
	"results/report": {[]string{"columns", "nullable", "results", "results/record", "safecsv", "setting", "stats"}, "how a record is printed is apart from how it is stored"},

	"page/pagetest": {nil, "rules of accessible pages hold for any page"},
	"page":          {nil, "a leaf: a page looks and is read aloud alike, whatever it shows"},
	"paper/claims": {[]string{"columns", "paper", "results/record", "stats"},
		"a claim is judged by the trials handed in, however they were planned, stored or found"},

	"paper/report": {[]string{
		"atomicfile", "columns", "detector", "experiments", "experiments/plan", "experiments/sweep", "figure", "page", "paper/claims", "paper/figures", "results", "results/record", "results/report",
		"setting", "stats",
	}, "it joins records, claims and figures, and computes none of them"},

	"experiments/catalogue": {[]string{"box", "dataset", "dataset/synthetic", "loss", "model", "optim", "sampler", "setting"},
		"it joins the settings that components declare, and reads no file"},
	"experiments/plan": {[]string{"ablations", "dataset", "dataset/synthetic", "paper", "setting"},
		"a plan is made before anything is computed: without network, engine or database"},
	"detector": {[]string{
		"box", "coco", "columns", "dataset", "dataset/picture", "dataset/synthetic", "engine", "experiments/catalogue", "experiments/plan", "guard", "loss", "metrics", "model", "optim", "sampler",
		"setting", "weights",
	},
		"a detector is trained and looked at on any engine, without records"},
	"experiments": {[]string{
		"atomicfile", "coco", "dataset", "dataset/picture", "dataset/synthetic", "detector", "engine", "experiments/plan", "guard", "metrics", "proc", "results/record", "stats", "weights",
	}, "a trial is a function of its order: its engine is an argument, and its result is a record, written without a database"},
	"experiments/sweep": {[]string{
		"atomicfile", "dataset/synthetic", "detector", "engine", "experiments", "experiments/plan", "model", "paper", "paper/figures", "results", "results/record", "results/report",
	}, "it decides which trials run and records them; it trains nothing"},
	"experiments/benchmark": {[]string{
		"coco", "columns", "dataset", "detector", "engine", "experiments", "experiments/plan", "experiments/sweep", "metrics", "proc", "results", "results/record", "results/report", "setting",
	},
		"it measures the other packages, and none of them needs it"},
	"cmd/gpus":            {[]string{"gpu"}, "it asks CUDA and prints the answer"},
	"cmd/runner/terminal": {nil, "what a terminal can show does not depend on the text"},
	"cmd/runner/progress": {[]string{"cmd/runner/terminal", "columns", "experiments", "experiments/plan", "experiments/sweep", "results/record", "setting"},
		"a sweep is shown by its events, and runs the same if nobody looks"},
	"cmd/runner/usage": {[]string{"detector", "experiments/plan", "experiments/sweep", "results", "results/record", "results/report", "setting"},
		"a command line is checked, completed and proposed before anything is computed"},
	"cmd/runner": {[]string{
		"atomicfile", "cmd/runner/progress", "cmd/runner/terminal", "cmd/runner/usage", "coco", "columns", "dataset", "dataset/picture", "detector", "engine", "engine/gomlx", "engine/gorgonia", "engine/kernel", "experiments", "experiments/benchmark", "experiments/plan", "experiments/sweep", "figure", "gpu",
		"metrics", "metrics/report", "page", "paper/figures", "paper/report", "results", "results/record", "results/report", "setting", "weights",
	}, "it has flags, printing and the choice of engine; training is decided elsewhere"},
}

// guests are imports that only some packages may have; a name that ends in a
// slash stands for all below it.
var guests = map[string]border{
	"gorgonia.org/":               {[]string{"engine/gorgonia", "cmd/gpus"}, "the library can be replaced in one place"},
	"github.com/gomlx/":           {[]string{"engine/gomlx"}, "the library can be replaced in one place"},
	"k8s.io/klog/":                {[]string{"engine/gomlx/quiet"}, "errors are returned, and nothing is logged"},
	"github.com/mmcloughlin/avo/": {[]string{"engine/kernel/gen"}, "assembly is written by the generator alone"},
	"unsafe":                      {[]string{"engine/kernel"}, "only assembly needs addresses"},
	"database/sql":                {[]string{"results"}, "one package speaks SQL"},
	"github.com/mattn/go-sqlite3": {[]string{"results"}, "one package speaks SQL"},
	"github.com/pressly/goose/":   {[]string{"results"}, "one package knows the schema and its history"},
	"gonum.org/v1/plot/":          {[]string{"figure"}, "a picture is the last step, and no number's"},
	"github.com/olekukonko/":      {[]string{"columns"}, "one package lays out tables"},
	"gopkg.in/yaml.v3":            {[]string{"experiments/plan"}, "one package reads ablation YAML"},
	"github.com/spf13/":           {[]string{"cmd/runner", "cmd/runner/usage"}, "flags are the command line's"},
	"github.com/vbauerster/":      {[]string{"cmd/runner/progress"}, "progress bars are the terminal's"},
	"math/rand":                   {nil, "its global source is state that no trial records; math/rand/v2 is handed in"},
	"net/http":                    {nil, "nothing is fetched and nothing is sent"},
	"github.com/sbinet/npyio/":    {nil, "NumPy files are reference data of tests"},
	"testing":                     {[]string{"engine/enginetest"}, "no program carries test flags"},
}

// goPackage is the part of go list's answer that the tests read.
type goPackage struct {
	ImportPath string
	Doc        string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
	Deps       []string
}

const module = "focalgrid"

// architectures and tags name the builds whose imports are checked: each architecture without a tag
// and with each of the tags. TestBuildTags finds a tag that is missing here.
var (
	architectures = []string{"amd64", "arm64"}
	tags          = []string{"long", "gpus"}
)

// listPackages returns our packages, by path below the module, with what they import in any build.
func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	packages, err := listAll()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

var listAll = sync.OnceValues(func() (map[string]goPackage, error) {
	packages := map[string]goPackage{}
	for _, arch := range architectures {
		for _, tag := range append([]string{""}, tags...) {
			if err := list(packages, arch, tag); err != nil {
				return nil, fmt.Errorf("go list for %s with tag %q: %w", arch, tag, err)
			}
		}
	}
	return packages, nil
})

// list asks go list for the packages of one build, and adds them.
func list(packages map[string]goPackage, arch, tag string) error {
	cmd := exec.Command("go", "list", "-tags", tag, "-json=ImportPath,Doc,GoFiles,CgoFiles,Imports,Deps", "./...")
	cmd.Env = append(os.Environ(), "GOARCH="+arch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, &stderr)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(p.GoFiles)+len(p.CgoFiles) == 0 { // the module's root holds tests alone
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		p.Imports = append(p.Imports, packages[name].Imports...)
		p.Deps = append(p.Deps, packages[name].Deps...)
		slices.Sort(p.Imports)
		slices.Sort(p.Deps)
		p.Imports, p.Deps = slices.Compact(p.Imports), slices.Compact(p.Deps)
		packages[name] = p
	}
}

// TestBuildTags finds files behind a tag that is not among tags, whose imports no other test sees.
func TestBuildTags(t *testing.T) {
	systems := regexp.MustCompile(`^(linux|darwin|windows|freebsd|netbsd|openbsd|dragonfly|solaris|illumos|aix|unix)$`)
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "package ") {
				break
			}
			if !constraint.IsGoBuild(line) {
				continue
			}
			x, err := constraint.Parse(strings.TrimSpace(line))
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			x.Eval(func(tag string) bool {
				if !systems.MatchString(tag) && !slices.Contains(architectures, tag) && !slices.Contains(tags, tag) {
					t.Errorf("%s: build tag %s is not in the list tags of this file", path, tag)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBorders holds each package to the imports that borders gives it.
func TestBorders(t *testing.T) {
	packages := listPackages(t)
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		b, ok := borders[name]
		if !ok {
			t.Errorf("package %s has no line in borders: say what of ours it may import, and why no more", name)
			continue
		}
		for _, path := range packages[name].Imports {
			if ours, ok := strings.CutPrefix(path, module+"/"); ok && !slices.Contains(b.may, ours) {
				t.Errorf("%s imports %s: %s", name, ours, b.why)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(borders)) {
		if _, ok := packages[name]; !ok {
			t.Errorf("borders has a line for %s, which is not a package", name)
		}
		for _, may := range borders[name].may {
			if _, ok := packages[may]; !ok {
				t.Errorf("borders lets %s import %s, which is not a package", name, may)
			} else if !slices.Contains(packages[name].Imports, module+"/"+may) {
				t.Errorf("borders lets %s import %s, which it does not", name, may)
			}
		}
	}
}

// TestGuests holds imports from outside to the packages that need them.
func TestGuests(t *testing.T) {
	packages := listPackages(t)
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		for _, path := range packages[name].Imports {
			for guest, b := range guests {
				of := path == guest || strings.HasSuffix(guest, "/") && strings.HasPrefix(path+"/", guest)
				if of && !slices.Contains(b.may, name) {
					t.Errorf("%s imports %s, which only %q may: %s", name, path, b.may, b.why)
				}
			}
		}
	}
}

// TestReach follows imports all the way: a library must not come in through something else, ours or not. The
// package cu ends the process where there is no GPU, so that no other program may hold it.
func TestReach(t *testing.T) {
	packages := listPackages(t)
	for library, of := range map[string]string{
		"gorgonia.org/gorgonia": "engine/gorgonia", "gorgonia.org/tensor": "engine/gorgonia", "github.com/gomlx/": "engine/gomlx", "gorgonia.org/cu": "cmd/gpus",
	} {
		for name := range borders {
			if name == of || slices.Contains(borders[name].may, of) {
				continue
			}
			for _, dep := range packages[name].Deps {
				if strings.HasPrefix(dep, library) {
					t.Errorf("%s reaches %s; only %s and what picks it may", name, dep, of)
				}
			}
		}
	}
}

// TestPackageComments wants a comment on each package.
func TestPackageComments(t *testing.T) {
	for name, p := range listPackages(t) {
		if p.Doc == "" {
			t.Errorf("package %s has no comment before its package clause: say what it is, in which units, and what is elsewhere", name)
		}
	}
}
