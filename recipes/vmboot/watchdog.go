package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

var errSilent = errors.New("the machine has not said anything")

// watchdog passes on what is written to it, and calls stop if nothing is within a time after its start. Once
// something is, the firmware is alive, and whatever it starts may be as silent as it likes.
type watchdog struct {
	console io.Writer
	limit   time.Duration
	stop    func(error)
	timer   *time.Timer
}

func (w *watchdog) start() {
	w.timer = time.AfterFunc(w.limit, func() { w.stop(fmt.Errorf("%w for %s", errSilent, w.limit)) })
}

func (w *watchdog) Write(text []byte) (int, error) {
	w.timer.Stop()

	return w.console.Write(text)
}
