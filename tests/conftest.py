"""Where the tests are started from must not matter."""

import signal

# A shell without job control starts what it puts in the background deaf to Ctrl-C, and every child inherits that: here
# they are to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
