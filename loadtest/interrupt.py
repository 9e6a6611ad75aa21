"""Raises Ctrl-C in the greenlet that waits for it, not in a user's."""

import signal

import gevent


def interrupt_here() -> None:
    """Has a Ctrl-C raise KeyboardInterrupt in the calling greenlet, where it waits.

    Python raises it in whichever greenlet runs, so that a user's study was lost now and then.
    Where SIGINT is ignored, as in a shell's background, it stays so.
    """
    here = gevent.getcurrent()

    def interrupt() -> None:
        gevent.kill(here, KeyboardInterrupt)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        gevent.signal_handler(signal.SIGINT, interrupt)
