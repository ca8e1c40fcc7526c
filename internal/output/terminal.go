package output

// OnTerminal tells whether stdout is a terminal.
func (s *Streams) OnTerminal() bool { return isTerminal(s.Out) }

// Colors tells whether stdout has colours.
func (s *Streams) Colors() bool { return s.outColor }
