//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package pipes

// Nothing of this works without FIFOs: opening the directory says so, and
// nobody gets any further.

const defaultPipeSize = 0

func openDir(string) (int, error)          { return -1, ErrUnsupported }
func openDirAt(int, string) (int, error)   { return -1, ErrUnsupported }
func makeDir(string) error                 { return ErrUnsupported }
func readNames(int) ([]string, error)      { return nil, ErrUnsupported }
func statAt(int, string) (fileInfo, error) { return fileInfo{}, ErrUnsupported }
func statPath(string) (fileInfo, error)    { return fileInfo{}, ErrUnsupported }
func statFD(int) (fileInfo, error)         { return fileInfo{}, ErrUnsupported }

func moveAt(int, string, string) error          { return ErrUnsupported }
func renameAt(int, string, string) error        { return ErrUnsupported }
func unlinkAt(int, string) error                { return ErrUnsupported }
func rmdirAt(int, string) error                 { return ErrUnsupported }
func createAt(int, string, uint32) (int, error) { return -1, ErrUnsupported }
func openReadAt(int, string) (int, error)       { return -1, ErrUnsupported }
func lockBeside(int) (int, bool, error)         { return -1, false, ErrUnsupported }
func chmodFD(int, uint32) error                 { return ErrUnsupported }
func chownFD(int, int) error                    { return ErrUnsupported }
func outOfDescriptors(error) bool               { return false }
func cannotTell(error) bool                     { return false }
func setNonblock(int) error                     { return ErrUnsupported }
func aboveStd(int, error) (int, error)          { return -1, ErrUnsupported }
func readFD(int, []byte) (int, error)           { return 0, ErrUnsupported }
func writeFD(int, []byte) (int, error)          { return 0, ErrUnsupported }
func closeFD(int)                               {}
func wouldBlock(error) bool                     { return false }
func tryLock(int, bool) (bool, error)           { return false, ErrUnsupported }
func unlock(int) error                          { return ErrUnsupported }
func pollReader(int) (pollState, error)         { return pollState{}, ErrUnsupported }
func processExists(int) bool                    { return true }
func effectiveUID() int                         { return -1 }
func actsForAll() bool                          { return false }
func maxDescriptors() int                       { return 0 }
func enlarge(int, int)                          {}

func (d *directory) makeFIFO(string, uint32) error     { return ErrUnsupported }
func (d *directory) openHandle(string) (int, error)    { return -1, ErrUnsupported }
func (f *fifo) openForWriting() (int, error)           { return -1, ErrUnsupported }
func (f *fifo) openAsReader() (int, error)             { return -1, ErrUnsupported }
func (f *fifo) releaseReaders()                        {}
func (f *fifo) chmod(*directory, string, uint32) error { return ErrUnsupported }
