package emit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Timing is how a command went.
type Timing struct {
	Took time.Duration // 0 if it could not be started
	// Status is what a shell says of it: its exit status, 128 and the number of the
	// signal that ended it, 127 if it was not found, 126 if it could not be
	// started.
	Status int
}

// Time runs a command with the stdin, stdout, stderr and signals of this process.
// Its error says why the command could not be started.
func Time(command []string) (Timing, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, Heeded(passedOn...)...)
	defer signal.Stop(signals)

	begin := time.Now()
	cmd, err := startCommand(command)
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return Timing{Status: 127}, fmt.Errorf("%s: command not found", command[0])
		}
		if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return Timing{Status: 126}, fmt.Errorf("%s: %w", command[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if !sentByTerminal(s) {
				_ = cmd.Process.Signal(s) // unless it has ended just now
			}
		case err := <-ended:
			timing := Timing{Took: time.Since(begin), Status: cmd.ProcessState.ExitCode()}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				timing.Status = 128 + int(status.Signal())
			}
			if exit := new(exec.ExitError); errors.As(err, &exit) {
				err = nil
			}
			return timing, err
		}
	}
}

// startCommand starts a command; a script without a first line that says what
// runs it is run by /bin/sh, as a shell does.
func startCommand(command []string) (*exec.Cmd, error) {
	try := func(command []string) (*exec.Cmd, error) {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd, cmd.Start()
	}
	cmd, err := try(command)
	if errors.Is(err, syscall.ENOEXEC) {
		return try(append([]string{"/bin/sh", cmd.Path}, command[1:]...))
	}
	return cmd, err
}

// Heeded returns the signals that this process was not started to ignore, as it is
// under nohup. Go knows that of SIGHUP and SIGINT only.
func Heeded(signals ...os.Signal) []os.Signal {
	var heeded []os.Signal
	for _, s := range signals {
		if !signal.Ignored(s) {
			heeded = append(heeded, s)
		}
	}
	return heeded
}
