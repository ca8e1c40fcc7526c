package pipes

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// A stateFile is where a Collector saves what it saw last of each recorder, for
// the one that comes after it: what a process has counted that is killed while
// there is none, or doesn't answer the next one. It has a document for each
// recorder, in the typed format.
type stateFile struct {
	path   string
	limits Limits // MaxBytes, and MaxStats, of the whole file; and MaxHostBytes
}

func newStateFile(stateDir, pipeDir string) *stateFile {
	return &stateFile{
		path:   filepath.Join(stateDir, "seen-"+url.PathEscape(pipeDir)+typedSuffix),
		limits: Limits{MaxBytes: 1 << 30, MaxStats: 10_000_000},
	}
}

// maxSavedLine is more than any source can send.
const maxSavedLine = 64 << 20

// savedID stands for a recorder in a saved state. Anybody can make a pipe with the id
// of another's in its name.
func savedID(uid int, id string) string { return strconv.Itoa(uid) + "." + id }

// splitSavedID returns what savedID has put together.
func splitSavedID(saved string) (uid int, id string, err error) {
	user, id, _ := strings.Cut(saved, ".")
	uid, err = strconv.Atoi(user)
	return uid, id, err
}

// userOf returns the user in a savedID.
func userOf(saved string) int {
	uid, _, _ := splitSavedID(saved)
	return uid
}

// isSaved tells whether something is saved of anybody's recorder with that id.
func (c *Collector) isSaved(id string) bool {
	for saved := range c.saved {
		if _, of, _ := splitSavedID(saved); of == id {
			return true
		}
	}
	return false
}

// load returns what was saved, by savedID. It may be incomplete where there is an
// error.
func (f *stateFile) load() (map[string]lastSeen, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	parser := format.TypedParser{MaxStats: f.limits.MaxStats, MaxLine: maxSavedLine}
	readErr := copyLimited(&parser, file, f.limits)
	if _, ok := failedBy(readErr); ok {
		readErr = fmt.Errorf("it has more than there is room for, %s, and was read in part", f.room())
	}
	docs, err := parser.Documents() // what came before an error is whole
	saved := make(map[string]lastSeen, len(docs))
	for _, doc := range docs {
		saved[doc.ID] = lastSeen{snapshot: doc.Snapshot.Lasting(), at: info.ModTime()}
	}
	if info.Size() == 0 {
		err = nil
	}
	if err = cmp.Or(readErr, err); err != nil {
		return saved, &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	return saved, nil
}

// room says how much the file may have.
func (f *stateFile) room() string {
	return fmt.Sprintf("%d stats and %s", f.limits.MaxStats, BytesText(f.limits.MaxBytes))
}

// store replaces what was saved. Seen has the savedIDs of all recorders that are
// there, and what was seen of each, nil if nothing was; places are those of
// places.saved. What there is no room for is left out, and its error says so.
func (f *stateFile) store(seen map[string]*format.Snapshot, places map[int]*format.Snapshot) error {
	// Another collector of the directory may have seen more of one than this one.
	others, err := f.load()
	if cannotTell(err) {
		return unsaved(err)
	}
	ours, theirs := make(map[string]*format.Snapshot), make(map[string]*format.Snapshot)
	for id, snapshot := range seen {
		if snapshot != nil {
			ours[id] = snapshot.Lasting()
		}
		other, ok := others[id]
		if ok && (snapshot == nil || isLater(other.snapshot, ours[id]) && !isLater(ours[id], other.snapshot)) {
			theirs[id] = other.snapshot
		}
	}
	leftOut := f.takeOver(ours, theirs)
	var docs []*format.Document
	for id, snapshot := range ours {
		docs = append(docs, &format.Document{ID: id, Snapshot: snapshot})
	}
	for uid, snapshot := range places {
		docs = append(docs, &format.Document{ID: savedID(uid, placesID), Snapshot: snapshot})
	}
	docs, tooMuch := f.fitting(docs)
	if err := f.write(docs); err != nil {
		return unsaved(err)
	}
	return cmp.Or(tooMuch, leftOut)
}

// takeOver puts into ours what was saved and isn't seen any more, as far as there is room
// for it in the memory of a Collector that has ours. Else whoever lets sources come, go,
// and come again without a word could have more saved each time, all of which is read
// with the next save. Its error says that there is more.
func (f *stateFile) takeOver(ours, theirs map[string]*format.Snapshot) (leftOut error) {
	if len(theirs) == 0 {
		return nil
	}
	size := func(s *format.Snapshot) int {
		if s == nil {
			return 0
		}
		return sizeOfDocument(&format.Document{Snapshot: s})
	}
	room := newShares(f.limits.withDefaults().MaxHostBytes)
	for id, s := range ours {
		room.take(userOf(id), size(s))
	}
	for _, id := range slices.Sorted(maps.Keys(theirs)) {
		more := max(0, size(theirs[id])-size(ours[id]))
		if !room.hasRoom(userOf(id), more) {
			leftOut = fmt.Errorf("what was saved of user %d isn't all saved again, so counters may fall at the next start: there is no more room (max_%s)",
				userOf(id), LimitHostBytes)
			continue
		}
		room.take(userOf(id), more)
		ours[id] = theirs[id]
	}
	return leftOut
}

// fitting returns the documents that the file has room for: all, as a rule. Those of a user
// with little come before those of a user with much, so that what one has in abundance
// costs the others nothing. Its error says whose are left out.
func (f *stateFile) fitting(docs []*format.Document) ([]*format.Document, error) {
	type load struct {
		user   string
		weight int64 // bytes
	}
	loads, ofUser := make(map[*format.Document]load, len(docs)), make(map[string]int64)
	// A stat, and a document, weighs no less than its part of all that there may be.
	perStat := int64(f.limits.MaxBytes/f.limits.MaxStats) + 1
	var text []byte
	for _, doc := range docs {
		text = format.AppendTyped(text[:0], doc)
		user, _, _ := strings.Cut(doc.ID, ".")
		loads[doc] = load{user, max(int64(len(text)), perStat*int64(1+len(doc.Snapshot.Stats)))}
		ofUser[user] += loads[doc].weight
	}
	slices.SortFunc(docs, func(a, b *format.Document) int {
		x, y := loads[a], loads[b]
		return cmp.Or(cmp.Compare(ofUser[x.user], ofUser[y.user]), strings.Compare(x.user, y.user),
			cmp.Compare(x.weight, y.weight), strings.Compare(a.ID, b.ID))
	})
	room := int64(f.limits.MaxBytes)
	for i, doc := range docs {
		if room -= loads[doc].weight; room >= 0 {
			continue
		}
		most := loads[docs[len(docs)-1]].user
		who := "user " + most
		if loads[doc].user != most {
			who += " and of others"
		}
		return docs[:i], fmt.Errorf("what was seen last of %s isn't all saved, so counters may fall at the next start: %s has room for %s",
			who, f.path, f.room())
	}
	return docs, nil
}

func unsaved(err error) error {
	return fmt.Errorf("what was seen last can't be saved, so counters may fall at the next start: %w", err)
}

func (f *stateFile) write(docs []*format.Document) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	f.removeLitter(time.Now())
	tmp, err := os.CreateTemp(filepath.Dir(f.path), savedTmpPrefix+"*")
	if err == nil {
		err = writeDocuments(tmp, docs)
		if err = cmp.Or(err, tmp.Close()); err == nil {
			err = os.Rename(tmp.Name(), f.path)
		}
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}
	if err != nil {
		// Without the temporary name, which is another one each time.
		return &fs.PathError{Op: "write", Path: f.path, Err: cause(err)}
	}
	return nil
}

// writeDocuments writes one after the other: all together may be very long.
func writeDocuments(w io.Writer, docs []*format.Document) error {
	b := bufio.NewWriterSize(w, 64<<10)
	var text []byte
	for _, doc := range docs {
		text = format.AppendTyped(text[:0], doc)
		if _, err := b.Write(text); err != nil {
			return err
		}
	}
	return b.Flush()
}

// savedTmpPrefix begins the temporary names of all states in a directory, which
// may have files of others as well.
const savedTmpPrefix = ".tmp-seen-"

// removeLitter removes what was left by those that were killed while they saved.
func (f *stateFile) removeLitter(now time.Time) {
	dir := filepath.Dir(f.path)
	entries, _ := os.ReadDir(dir) // what can't be listed stays
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), savedTmpPrefix) || !entry.Type().IsRegular() {
			continue
		}
		if info, err := entry.Info(); err == nil && now.Sub(info.ModTime()) > litterAge {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

// cause returns the error of the system call.
func cause(err error) error {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return err
}

// isLater tells whether a was taken after b, of the same recorder: whatever has
// changed has grown.
func isLater(a, b *format.Snapshot) bool {
	before := make(map[string]format.Value, len(b.Stats))
	for _, stat := range b.Stats {
		before[stat.Name] = count(stat)
	}
	for _, stat := range a.Stats {
		if old, ok := before[stat.Name]; !ok || count(stat).Compare(old) > 0 {
			return true
		}
	}
	return false
}

func count(stat format.Stat) format.Value {
	if stat.Kind == format.Distribution {
		return format.Int(stat.Dist.Count)
	}
	return stat.Value
}

// loadState loads what was saved. What this process can't read just now isn't
// replaced, and is loaded with a later collection.
func (c *Collector) loadState() {
	saved, err := c.state.load()
	if c.unloaded = cannotTell(err); c.unloaded {
		err = fmt.Errorf("what was saved can't be loaded, so counters may have fallen: %w", err)
		saved = nil
	}
	c.saved, c.stateErr = saved, err
	c.restorePlaces()
	c.reserve()
}

// reserve has what was saved count in the memory, so that whose it is has room before
// newcomers have. It isn't all that was sent, and where it is more than a user may have by
// now, the rest counts for nothing: who asks first goes on.
func (c *Collector) reserve() {
	room := newShares(c.opts.Limits.MaxHostBytes)
	for _, id := range slices.Sorted(maps.Keys(c.saved)) {
		last, uid := c.saved[id], userOf(id)
		size := sizeOfDocument(&format.Document{ID: id, Snapshot: last.snapshot})
		if room.hasRoom(uid, size) {
			room.take(uid, size)
			last.size = size
			c.saved[id] = last
		}
	}
}

// save saves what was seen last of each recorder that is still there. The caller
// holds c.mu, which is let go while the file is written: that may take seconds, and
// others are answered meanwhile. It counts as tidying up, of which there is one at a
// time, so that what is older never replaces what is newer.
func (c *Collector) save(now time.Time) {
	if c.state == nil || !c.hasLooked { // or what was saved of others would go
		return
	}
	if c.unloaded {
		c.saveErr = c.stateErr
		return
	}
	seen := make(map[string]*format.Snapshot)
	for _, s := range c.sources {
		if s.isTyped() {
			seen[savedID(s.owner, s.id)] = nil
		}
		if s.isTyped() && s.last != nil {
			seen[savedID(s.owner, s.id)] = s.last.snapshot
		}
	}
	others := make(map[string]lastSeen)
	for _, s := range c.leftOut {
		if s.ID == "" {
			continue
		}
		id := savedID(s.UID, s.ID)
		seen[id] = nil // what is saved of it stays
		if last, ok := c.saved[id]; ok {
			seen[id], others[id] = last.snapshot, last
		}
	}
	c.saved, c.savedAt = others, now
	c.state.limits.MaxHostBytes = c.opts.Limits.MaxHostBytes
	places := *c.places // what is saved of them doesn't change any more
	c.isTidying = true
	c.mu.Unlock()
	err := c.state.store(seen, places.saved())
	c.mu.Lock()
	c.isTidying = false
	c.saveErr, c.stateErr = err, err
}

// placesID stands for the id of a recorder in a saved state where that has the places of
// a user: see places.saved.
const placesID = "places"

// restorePlaces takes over the places that were saved, if none was given since: where the
// state was loaded late, a name would lose its own.
func (c *Collector) restorePlaces() {
	saved := make(map[int]*format.Snapshot)
	for id, last := range c.saved {
		// Once there was one for all users. To whom a name was charged doesn't matter.
		if user, ok := strings.CutSuffix(id, placesID); ok {
			uid, _ := strconv.Atoi(strings.TrimSuffix(user, "."))
			saved[uid] = last.snapshot
			delete(c.saved, id)
		}
	}
	if c.places.before == nil && c.places.taken == nil {
		c.places.restore(saved)
	}
}
