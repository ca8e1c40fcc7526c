package pipes

import (
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This is a model of how counters outlive their processes, without files and
// processes: only who does what after what. Its actors read like the protocol.
// Whatever others can come between is one step of theirs; a run lets a random
// one take the next step, always the same for the same seed.
//
//	go test ./pkg/pipes -run Model -model.runs 100000
//	go test ./pkg/pipes -run Model/exec -v -model.runs 1 -model.seed 7
//
// The first looks for longer; the second tells one run of each test step by step.
var (
	modelRuns = flag.Int("model.runs", 1000, "how often each situation of the model is run")
	modelSeed = flag.Int("model.seed", 1, "the seed of the first run")
)

// A modelSituation is who is there, and what happens to them.
type modelSituation struct {
	name     string
	users    int // the second one would like the first one's counts to disappear
	programs int
	reopened int // recorders of each program after its first
	emitters int
	readers  int
	serves   int
	restarts bool   // of the serve, in good order
	troubles string // one after another: see trouble
}

// killed says whether something that nobody has seen may be lost.
func (s modelSituation) killed() bool {
	return strings.Contains(s.troubles, "kill") || strings.Contains(s.troubles, "exec")
}

var modelSituations = []modelSituation{
	{name: "closers", users: 1, programs: 4},
	{name: "closers and a reader", users: 1, programs: 3, readers: 1},
	{name: "closers and a serve", users: 1, programs: 3, serves: 1},
	{name: "two serves", users: 1, programs: 3, serves: 2},
	{name: "rewrites at full speed", users: 1, programs: 2, emitters: 3, readers: 1},
	{name: "old views", users: 1, programs: 4, emitters: 2, readers: 2},
	{name: "opened again", users: 1, programs: 2, reopened: 2, readers: 1, serves: 1},
	{name: "opened again and killed", users: 1, programs: 2, reopened: 2, serves: 1, troubles: "kill"},
	{name: "killed", users: 1, programs: 3, readers: 1, serves: 1, troubles: "kill kill"},
	{name: "killed with two serves", users: 1, programs: 3, emitters: 1, serves: 2, troubles: "kill kill"},
	{name: "killed folders", users: 1, programs: 3, emitters: 2, serves: 1, troubles: "kill-folder kill-folder kill-folder"},
	{name: "exec", users: 1, programs: 1, reopened: 2, serves: 1, troubles: "exec exec exec exec exec"},
	{name: "stopped", users: 1, programs: 3, emitters: 1, readers: 1, serves: 1, troubles: "stop stop stop"},
	{name: "lost pipes", users: 1, programs: 3, readers: 1, serves: 1, troubles: "lose lose lose lose lose lose"},
	{name: "two users", users: 2, programs: 4, emitters: 1, readers: 1, serves: 1, troubles: "kill"},
	{name: "restarted serve", users: 1, programs: 3, serves: 1, restarts: true, troubles: "kill stop kill"},
	{name: "crashed serve", users: 1, programs: 3, serves: 1, troubles: "kill crash kill crash"},
}

// modelRules are what the actors keep, and a situation that shows why.
var modelRules = []struct{ rule, situation string }{
	{".live is locked before there is a pipe", "two serves"},
	{"a later recorder publishes what no final holds", "opened again"},
	{"every answer after the freeze is the final", "closers and a reader"},
	{".stats goes before the final comes", "closers and a reader"},
	{".live stays until the final is there", "two serves"},

	{"only one at a time has the lock", "rewrites at full speed"},
	{"what is folded is looked at under the lock", "old views"},
	{"the path is looked at after .live", "two serves"},
	{"what was killed is folded before it is removed", "killed"},
	{"what is being folded doesn't change any more", "killed"},
	{"what is noted isn't folded again", "killed folders"},
	{"what is folded is noted", "closers and a reader"},
	{"a note stays while its path is linked", "killed folders"},
	{"a value and its note are written at once", "stopped"},
	{"a path goes after it was folded", "closers and a reader"},
	{"what was killed loses .stats before .typed", "exec"},
	{"who unlocked looks for finals once more", "closers"},
	{"a final is folded after its .live has gone", "rewrites at full speed"},

	{"who doesn't answer counts as seen last", "stopped"},
	{"what was seen is remembered by id", "exec"},
	{"what was seen is saved", "restarted serve"},
	{"what is noted is dropped", "closers and a reader"},
	{"a note is for its user's entries only", "two users"},
	{"what is gone is dropped", "closers and a reader"},
	{"what has gone is looked for again", "old views"},
	{"what lives has only lost its pipe", "lost pipes"},
}

func TestModelKeepsAllCounts(t *testing.T) {
	for _, s := range modelSituations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if failure := modelFailure(t, s, "", *modelRuns); failure != "" {
				t.Error(failure)
			}
		})
	}
}

// A rule that can be left out is none, or the model doesn't see what it is for.
func TestModelNeedsEveryRule(t *testing.T) {
	runs := *modelRuns
	if runs > 1 {
		runs *= 20 // the rarest failure is one of two thousand
	}
	for _, r := range modelRules {
		t.Run(r.rule, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(modelSituations, func(s modelSituation) bool { return s.name == r.situation })
			failure := modelFailure(t, modelSituations[i], r.rule, runs)
			if failure == "" {
				t.Fatalf("%d runs of %q don't need the rule", runs, r.situation)
			}
			t.Log(failure)
		})
	}
}

// modelFailure runs a situation until a run fails, and says how.
func modelFailure(t *testing.T, s modelSituation, without string, runs int) string {
	for seed := *modelSeed; seed < *modelSeed+runs; seed++ {
		if failure := modelRun(t, s, without, seed); failure != "" {
			return fmt.Sprintf("%s, seed %d: %s", s.name, seed, failure)
		}
	}
	return ""
}

// A modelName is that of .<stem>.<id>.typed, or of <stem>.stats if the id is 0.
type modelName struct{ stem, id int }

// A modelFile is a pipe of a recorder, or its final.
type modelFile struct {
	name     modelName
	user     int
	recorder *modelRecorder
	final    bool
	value    int // of a final
}

// A modelRetained is a retained file: what was counted, and the ids noted.
type modelRetained struct {
	value int
	notes []int
}

func (r modelRetained) exists() bool { return r.value != 0 || len(r.notes) > 0 }

type modelProcess struct {
	name          string
	user, stem    int
	counts        bool
	daemon        bool // nobody waits for its end
	dead, stopped bool
	counter       int
	frozen        int // what of the counter is in finals
}

// A modelRecorder is one that a process has started.
type modelRecorder struct {
	name     modelName
	process  *modelProcess
	live     bool // .live is locked
	base     int  // what earlier finals hold
	frozen   bool // what is answered
	final    int
	counted  int  // what the final should be
	placed   bool // the final is at the path
	closed   bool
	requests []*modelAnswer
}

// A modelAnswer is what a recorder writes into the pipe that a reader opened.
type modelAnswer struct {
	written bool
	value   int
}

// program has one recorder after another, and counts all the time.
func (a *modelActor) program() {
	for range 1 + a.reopened {
		r := a.start()
		a.idle(12)
		a.close(r)
	}
}

func (a *modelActor) start() *modelRecorder {
	p, id := a.process, len(a.recorders)+1
	r := &modelRecorder{name: modelName{p.stem, id}, process: p}
	a.recorders = append(a.recorders, r)
	if a.keeps("a later recorder publishes what no final holds") {
		r.base = p.frozen
	}
	if a.keeps(".live is locked before there is a pipe") {
		a.step("makes and locks .live", id)
		r.live = true
	}
	a.step("makes .typed", id)
	a.rename(&modelFile{name: r.name, user: p.user, recorder: r})
	a.spawn(p, func(a *modelActor) { a.publish(r) })
	a.step("makes .stats", id)
	a.rename(&modelFile{name: modelName{stem: p.stem}, user: p.user, recorder: r})
	r.live = true
	return r
}

// publish answers whoever opened a pipe of the recorder.
func (a *modelActor) publish(r *modelRecorder) {
	for {
		a.wait(func() bool { return len(r.requests) > 0 || r.closed }, "looks at its counters", r.name.id)
		if r.closed {
			return
		}
		value := a.process.counter - r.base
		a.step("answers", r.name.id)
		if r.frozen && a.keeps("every answer after the freeze is the final") {
			value = r.final
		}
		*r.requests[0] = modelAnswer{true, value}
		r.requests = r.requests[1:]
	}
}

// close puts the final into the pipe's place, and folds it if nobody else will.
func (a *modelActor) close(r *modelRecorder) {
	p, id := a.process, r.name.id
	a.step("freezes its final", id)
	r.frozen, r.final = true, p.counter-r.base
	r.counted, p.frozen = p.counter-p.frozen, p.counter

	statsFirst := a.keeps(".stats goes before the final comes")
	if statsFirst {
		a.removeStats(r)
	}
	if !a.keeps(".live stays until the final is there") {
		a.step("removes .live", id)
		r.live = false
	}
	a.step("renames the final over .typed", id)
	a.rename(&modelFile{name: r.name, user: p.user, recorder: r, final: true, value: r.final})
	r.placed = true
	a.step("removes .live", id)
	r.live, r.closed = false, statsFirst
	a.fold(p.user, 0, nil)

	if !statsFirst {
		a.removeStats(r)
		r.closed = true
	}
}

// removeStats removes the .stats of a recorder, not that of its stem's next one.
func (a *modelActor) removeStats(r *modelRecorder) {
	a.step("removes .stats", r.name.id)
	name := modelName{stem: r.name.stem}
	if f := modelFind(a.dir, name); f != nil && f.recorder == r {
		a.unlink(name)
	}
}

// emit adds to what its user has retained.
func (a *modelActor) emit() {
	for range 1 + a.rand.IntN(4) {
		a.fold(a.process.user, 1+a.rand.IntN(9), nil)
	}
}

// fold adds what was emitted and all finals of a user to the retained file, and
// if it is a serve's, which gives its memory, what was killed. Only emit waits
// for the lock: the others' finals are there before its holder looks once more.
func (a *modelActor) fold(user, emitted int, memory *modelReader) {
	free := func() bool { return a.holders[user] == nil || !a.keeps("only one at a time has the lock") }
	lookFirst := !a.keeps("what is folded is looked at under the lock")
	for {
		var found []modelFound
		if lookFirst {
			found = a.look(user, memory)
		}
		if emitted > 0 {
			a.wait(free, "takes the lock")
		} else {
			a.step("tries the lock")
		}
		if !free() {
			return
		}
		a.holders[user] = a.process
		if !lookFirst {
			found = a.look(user, memory)
		}
		a.rewrite(user, emitted, found)
		a.step("unlocks")
		a.holders[user] = nil
		emitted = 0
		if !a.keeps("who unlocked looks for finals once more") || !a.moreFinals(user) {
			return
		}
	}
}

func (a *modelActor) moreFinals(user int) bool {
	return slices.ContainsFunc(a.list(), func(f *modelFile) bool { return f.final && f.user == user && !a.isEnding(f) })
}

// isEnding tells whether the recorder of a final isn't through.
func (a *modelActor) isEnding(f *modelFile) bool {
	a.step("looks whether .live is locked", f.name.id)
	return f.recorder.live && a.keeps("a final is folded after its .live has gone")
}

// A modelFound is what a folder found out about an entry.
type modelFound struct {
	*modelFile
	last  int
	known bool // its recorder has ended, and that was its last value
}

func (a *modelActor) look(user int, memory *modelReader) []modelFound {
	var found []modelFound
	for _, f := range a.list() {
		if f.user == user && f.name.id != 0 {
			last, known := a.lastOf(f, memory)
			found = append(found, modelFound{f, last, known})
		}
	}
	return found
}

// lastOf looks at .live first: whoever ends in order has put a final there
// before it goes, and whoever was killed never will.
func (a *modelActor) lastOf(f *modelFile, memory *modelReader) (last int, known bool) {
	if !f.final {
		if memory == nil {
			return 0, false
		}
		a.step("looks whether .live is locked", f.name.id)
		if f.recorder.live {
			return 0, false
		}
	} else if a.isEnding(f) {
		return 0, false
	}
	if a.keeps("the path is looked at after .live") {
		a.step("looks at .typed", f.name.id)
		if f = modelFind(a.dir, f.name); f == nil {
			return 0, false
		}
	}
	if f.final {
		return f.value, true
	}
	return memory.settle(f.name)
}

// rewrite is the heart of it: one rename adds the values and notes the ids, and
// only then the paths go.
func (a *modelActor) rewrite(user, emitted int, found []modelFound) {
	old := a.readRetained(user)
	next := modelRetained{value: old.value + emitted}
	var folded []*modelFile
	for _, f := range found {
		notes := "what is folded is noted"
		noted := slices.Contains(old.notes, f.name.id)
		if noted {
			notes = "a note stays while its path is linked"
		}
		if !noted || !a.keeps("what is noted isn't folded again") {
			if !f.known {
				continue
			}
			next.value += f.last
		}
		if a.keeps(notes) {
			next.notes = append(next.notes, f.name.id)
		}
		folded = append(folded, f.modelFile)
	}
	for _, f := range a.dir {
		if user > 0 && f.user != user {
			next.notes = append(next.notes, f.name.id) // which is none of its business
		}
	}
	if !a.keeps("a path goes after it was folded") {
		a.remove(folded)
	}
	if !a.keeps("a value and its note are written at once") {
		a.step("renames a retained file without new notes")
		a.retained[user] = modelRetained{next.value, old.notes}
	}
	a.step("renames the retained file")
	a.retained[user] = next
	a.counted += emitted
	a.emitted += emitted
	a.remove(folded)
}

// remove removes what was folded. A .stats that is left alone is read as a plain
// pipe, and the next recorder of its stem would answer through it without an id.
func (a *modelActor) remove(folded []*modelFile) {
	for _, f := range folded {
		if !f.final && a.keeps("what was killed loses .stats before .typed") {
			a.removeStats(f.recorder)
		}
		a.step("removes .typed", f.name.id)
		a.unlink(f.name)
	}
}

// A modelReader reads again and again, and remembers. A serve folds as well.
type modelReader struct {
	*modelWorld
	process *modelProcess
	serve   bool
	steady  bool // its total never falls
	total   int
	known   []*modelFile      // what it read last
	seen    map[modelName]int // last
	asked   map[modelName]*modelAnswer
	settled map[modelName]bool // what is being folded
	folding bool
	saved   map[modelName]int // what was seen, on disk
}

func (w *modelWorld) newReader(name string, serve bool, saved map[modelName]int) {
	p := &modelProcess{name: name, daemon: true}
	r := &modelReader{modelWorld: w, process: p, serve: serve, saved: saved}
	r.steady = !w.killed() || serve && w.serves == 1
	r.load()
	w.readers = append(w.readers, r)
	w.spawn(p, r.read)
	if serve {
		w.spawn(p, r.fold)
	}
}

func (r *modelReader) load() {
	r.seen, r.asked, r.settled = map[modelName]int{}, map[modelName]*modelAnswer{}, map[modelName]bool{}
	maps.Copy(r.seen, r.saved)
}

func (r *modelReader) read(a *modelActor) {
	for a.busy() {
		r.collect(a)
		if a.rand.IntN(3) > 0 {
			continue
		}
		a.wait(func() bool { return !r.folding || !r.restarts }, "saves what it saw")
		if r.keeps("what was seen is saved") {
			r.saved = maps.Clone(r.seen)
		}
		if r.restarts {
			r.load()
		}
	}
}

func (r *modelReader) fold(a *modelActor) {
	for a.busy() {
		a.idle(15)
		r.folding = true
		for user := range a.retained {
			a.fold(user, 0, r)
		}
		r.folding = false
	}
}

// settle decides what a killed recorder is folded with: what was seen last. An
// answer that arrives after that is too late.
func (r *modelReader) settle(name modelName) (last int, known bool) {
	last, known = r.seen[r.key(name)]
	r.settled[r.key(name)] = known && r.keeps("what is being folded doesn't change any more")
	if !r.keeps("what was killed is folded before it is removed") {
		return 0, true
	}
	return last, known
}

func (r *modelReader) key(name modelName) modelName {
	if !r.keeps("what was seen is remembered by id") {
		name.id = 0
	}
	return name
}

// collect reads all sources, and then leaves out those that the retained files
// hold by now: who is noted there, and who was gone before they were read, unless
// it lives: then it has only lost its pipe.
func (r *modelReader) collect(a *modelActor) {
	sources := modelSources(a.list())
	for _, f := range r.known {
		if f.name.id == 0 || modelFind(sources, f.name) != nil {
			continue
		}
		if r.hasLost(a, f) || modelFind(a.dir, f.name) != nil {
			plain := func(other *modelFile) bool { return other.name == modelName{stem: f.name.stem} }
			sources = append(slices.DeleteFunc(sources, plain), f)
		}
	}
	r.known = sources
	r.ask(a, sources)
	a.idle(6)
	a.step("waits no longer")
	sources, values := r.answers(sources)
	looks := map[modelName]int{}
	for {
		now, listed := a.list(), slices.Clone(a.retained)
		retained, total := r.readRetained(a, listed)
		if slices.ContainsFunc(listed, modelRetained.exists) {
			now = a.list()
		}
		again := false
		for i, f := range sources {
			switch {
			case r.noted(retained, f):
			case modelFind(now, f.name) != nil, r.hasLost(a, f), !r.keeps("what is gone is dropped"):
				total += values[i]
			case looks[f.name] < maxLooks:
				again = again || r.keeps("what has gone is looked for again")
				looks[f.name]++
				if modelFind(a.dir, f.name) == nil {
					looks[f.name] = maxLooks
				}
			}
		}
		if !again {
			r.say(total)
			return
		}
	}
}

// hasLost tells whether the recorder lives, and has only lost its pipe.
func (r *modelReader) hasLost(a *modelActor, f *modelFile) bool {
	a.step("looks whether .live is locked", f.name.id)
	return f.name.id != 0 && f.recorder.live && r.keeps("what lives has only lost its pipe")
}

// modelSources returns what is read: .stats only where its stem has no .typed.
func modelSources(dir []*modelFile) []*modelFile {
	var sources []*modelFile
	for _, f := range dir {
		typed := func(other *modelFile) bool { return other.name.id != 0 && other.name.stem == f.name.stem }
		if f.name.id != 0 || !slices.ContainsFunc(dir, typed) {
			sources = append(sources, f)
		}
	}
	return sources
}

// ask reads finals and opens pipes. Who was asked before and hasn't answered yet
// isn't asked again.
func (r *modelReader) ask(a *modelActor, sources []*modelFile) {
	for _, f := range sources {
		a.idle(4)
		a.step("opens the path", f.name.id)
		key := r.key(f.name)
		if now := modelFind(a.dir, f.name); now != nil && now.final {
			r.asked[key] = &modelAnswer{true, now.value}
		} else if now != nil && r.asked[key] == nil {
			r.asked[key] = &modelAnswer{}
			now.recorder.requests = append(now.recorder.requests, r.asked[key])
		}
	}
}

// answers returns who has answered by now or did so once, and the last answers.
func (r *modelReader) answers(sources []*modelFile) (known []*modelFile, values []int) {
	for _, f := range sources {
		key := r.key(f.name)
		answer := r.asked[key]
		answered := answer != nil && answer.written
		if answered {
			delete(r.asked, key)
		}
		if answered && !r.settled[key] {
			r.seen[key] = answer.value
		}
		value, ok := r.seen[key]
		if ok && (answered || r.keeps("who doesn't answer counts as seen last")) {
			known, values = append(known, f), append(values, value)
		}
	}
	return known, values
}

// readRetained reads the files that were there when they were listed.
func (r *modelReader) readRetained(a *modelActor, listed []modelRetained) (files []modelRetained, total int) {
	for user := range listed {
		var file modelRetained
		if listed[user].exists() {
			file = a.readRetained(user)
		}
		files = append(files, file)
		total += file.value
	}
	return files, total
}

func (r *modelReader) noted(files []modelRetained, f *modelFile) bool {
	if r.keeps("a note is for its user's entries only") {
		files = files[f.user : f.user+1]
	}
	return r.keeps("what is noted is dropped") && slices.ContainsFunc(files, func(file modelRetained) bool {
		return slices.Contains(file.notes, f.name.id)
	})
}

func (r *modelReader) say(total int) {
	if r.log != nil {
		r.log("%s says %d of %d", r.process.name, total, r.counted)
	}
	if total < r.total && r.steady || total > r.counted {
		r.fail("%s says %d of %d, and said %d before", r.process.name, total, r.counted, r.total)
	}
	r.total = total
}

// trouble happens to programs and those who emit, and to a serve.
func (a *modelActor) trouble() {
	for what := range strings.FieldsSeq(a.troubles) {
		a.idle(40)
		var p *modelProcess
		for p == nil || p.daemon || p.dead {
			p = a.actors[a.rand.IntN(len(a.actors))].process
		}
		if folder := a.holders[0]; what == "kill-folder" && folder != nil && !folder.daemon {
			p = folder
		}
		if a.log != nil {
			a.log("%s for %s", what, p.name)
		}
		switch what {
		case "lose":
			a.lose()
		case "kill", "kill-folder":
			a.kill(p)
		case "exec":
			a.kill(p)
			a.newProgram(p.name+"'", p.user, p.stem, 40)
		case "stop":
			p.stopped = true
			a.idle(60)
			p.stopped = false
		case "crash":
			r := a.readers[0]
			a.readers = a.readers[1:]
			a.kill(r.process)
			a.newReader(r.process.name+"'", true, r.saved)
		}
	}
}

// lose deletes the pipe of a recorder that lives, which puts it back. All readers
// have seen it: one that hasn't knows nothing of it until it is back.
func (a *modelActor) lose() {
	for _, f := range a.list() {
		unseen := func(r *modelReader) bool { _, ok := r.seen[f.name]; return !ok }
		if f.name.id == 0 || f.final || !f.recorder.live || slices.ContainsFunc(a.readers, unseen) {
			continue
		}
		a.unlink(f.name)
		a.idle(10)
		if f.recorder.live && !f.recorder.frozen && modelFind(a.dir, f.name) == nil {
			a.rename(f)
		}
		return
	}
}

// kill ends a process with all that it has locked.
func (w *modelWorld) kill(p *modelProcess) {
	p.dead = true
	for _, r := range w.recorders {
		r.live = r.live && r.process != p
	}
	for user, holder := range w.holders {
		if holder == p {
			w.holders[user] = nil
		}
	}
}

// A modelWorld is one run. All that actors know of each other is the directory,
// the retained files, the locks, and what is asked and answered.
type modelWorld struct {
	modelSituation
	without string // the rule that nobody keeps
	rand    *rand.Rand
	log     func(format string, args ...any) // nil if nobody listens

	dir      []*modelFile // replaced, never changed: a listing is one moment
	retained []modelRetained
	holders  []*modelProcess // of the locks

	actors    []*modelActor
	recorders []*modelRecorder
	readers   []*modelReader
	counted   int // by all, whether anybody can see it or not
	emitted   int
	failure   string
}

func (w *modelWorld) keeps(rule string) bool { return w.without != rule }

func (w *modelWorld) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

// busy says whether anybody has something to do before all is quiet.
func (w *modelWorld) busy() bool {
	return slices.ContainsFunc(w.actors, func(a *modelActor) bool {
		return !a.done && !a.process.dead && !a.process.daemon
	})
}

func modelFind(dir []*modelFile, name modelName) *modelFile {
	for _, f := range dir {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (w *modelWorld) unlink(name modelName) {
	w.dir = slices.DeleteFunc(slices.Clone(w.dir), func(f *modelFile) bool { return f.name == name })
}

func (w *modelWorld) rename(f *modelFile) {
	w.unlink(f.name)
	w.dir = append(w.dir, f)
}

// A modelActor is a thread of a process.
type modelActor struct {
	*modelWorld
	process *modelProcess
	speed   int         // how often it takes a step
	until   func() bool // what it waits for, or nil
	done    bool
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool // nil if it is the only one
}

// modelEnded ends an actor whose process was killed.
type modelEnded struct{}

func (w *modelWorld) spawn(p *modelProcess, body func(a *modelActor)) {
	a := &modelActor{modelWorld: w, process: p, speed: 1 << w.rand.IntN(6)}
	a.resume, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != (modelEnded{}) {
				panic(r)
			}
		}()
		a.yield = yield
		body(a)
	})
	w.actors = append(w.actors, a)
}

// step lets others come between. When it returns it is the actor's turn to do
// what it says, to the recorder with that id.
func (a *modelActor) step(what string, ids ...int) { a.wait(nil, what, ids...) }

// wait is a step that isn't taken before a condition holds.
func (a *modelActor) wait(until func() bool, what string, ids ...int) {
	if a.yield == nil {
		return
	}
	a.until = until
	if !a.yield(struct{}{}) {
		panic(modelEnded{})
	}
	a.until = nil
	if a.log != nil && what != "" {
		for _, id := range ids {
			what += " (" + strconv.Itoa(id) + ")"
		}
		a.log("%s %s", a.process.name, what)
	}
}

func (a *modelActor) idle(most int) {
	for range a.rand.IntN(most + 1) {
		a.step("")
	}
}

func (a *modelActor) list() []*modelFile {
	a.step("lists the directory")
	return a.dir
}

func (a *modelActor) readRetained(user int) modelRetained {
	a.step("reads the retained file")
	return a.retained[user]
}

func (w *modelWorld) newProgram(name string, user, stem, idle int) {
	p := &modelProcess{name: name, user: user, stem: stem, counts: true}
	w.spawn(p, func(a *modelActor) {
		a.idle(idle)
		a.program()
	})
}

// modelRun makes one run, and returns what went wrong.
func modelRun(t *testing.T, s modelSituation, without string, seed int) string {
	w := &modelWorld{modelSituation: s, without: without, rand: rand.New(rand.NewPCG(uint64(seed), 0))}
	w.retained, w.holders = make([]modelRetained, s.users), make([]*modelProcess, s.users)
	if *modelRuns == 1 {
		w.log = t.Logf
	}
	for i := range s.serves {
		w.newReader(fmt.Sprint("serve ", i+1), true, nil)
	}
	for i := range s.readers {
		w.newReader(fmt.Sprint("reader ", i+1), false, nil)
	}
	for i := range s.programs {
		w.newProgram(fmt.Sprint("program ", i+1), i%s.users, i+1, 12)
	}
	for i := range s.emitters {
		w.spawn(&modelProcess{name: fmt.Sprint("emit ", i+1), user: i % s.users}, (*modelActor).emit)
	}
	w.spawn(&modelProcess{name: "trouble", daemon: true}, (*modelActor).trouble)
	w.run()
	for _, a := range w.actors {
		if !a.done && !a.process.dead {
			w.fail("%s waits for ever", a.process.name)
		}
		a.stop()
	}
	if w.failure == "" {
		w.finish()
	}
	return w.failure
}

// run lets one after another take a step until nobody can. Who is slow may be
// fast a few steps later.
func (w *modelWorld) run() {
	for w.failure == "" {
		var next *modelActor
		speeds := 0
		for _, a := range w.actors {
			if !a.done && !a.process.dead && !a.process.stopped && (a.until == nil || a.until()) {
				speeds += a.speed
				if w.rand.IntN(speeds) < a.speed {
					next = a
				}
			}
		}
		if next == nil {
			return
		}
		if w.rand.IntN(4) == 0 {
			next.speed = 1 << w.rand.IntN(6)
		}
		if next.process.counts && w.rand.IntN(3) == 0 {
			n := 1 + w.rand.IntN(9)
			next.process.counter += n
			w.counted += n
		}
		_, more := next.resume()
		next.done = !more
	}
}

// finish checks what is left when all is quiet, and after the last fold.
func (w *modelWorld) finish() {
	last := &modelActor{modelWorld: w, process: &modelProcess{name: "the last"}}
	for _, r := range w.readers {
		r.collect(last)
	}
	total := 0
	for user := range w.retained {
		if !w.killed() && last.moreFinals(user) {
			w.fail("a final is left, although nobody was killed")
		}
		for _, r := range w.readers {
			if r.serve {
				last.fold(user, 0, r)
			}
		}
		last.fold(user, 0, nil)
		last.fold(user, 0, nil) // drops the last notes
		total += w.retained[user].value
		for _, id := range w.retained[user].notes {
			if !slices.ContainsFunc(w.dir, func(f *modelFile) bool { return f.name.id == id }) {
				w.fail("a note of %d is left", id)
			}
		}
	}
	for _, r := range w.readers {
		r.collect(last)
	}
	if least, most := w.known(); total < least || total > most {
		w.fail("%d are retained, and should be %d to %d", total, least, most)
	}
}

// known returns what must be retained at the end, and what may be: of a killed
// recorder one of the serves has folded what it saw, and not what others did.
func (w *modelWorld) known() (least, most int) {
	least, most = w.emitted, w.emitted
	for _, recorder := range w.recorders {
		var seen []int
		for _, r := range w.readers {
			if value, ok := r.seen[r.key(recorder.name)]; ok && r.serve {
				seen = append(seen, value)
			}
		}
		if recorder.placed {
			seen = []int{recorder.counted}
		}
		if len(seen) > 0 {
			least += slices.Min(seen)
			most += slices.Max(seen)
			if modelFind(w.dir, recorder.name) != nil {
				w.fail("%d has ended and was seen, and is left", recorder.name.id)
			}
		}
	}
	if strings.Contains(w.troubles, "crash") {
		most = w.counted // the one that is gone may have folded more
	}
	return least, most
}
