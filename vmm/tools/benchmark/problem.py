"""What went wrong, as a sentence for a person, with what to do and the exit status."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_KVM = 3
EXIT_IMAGE = 4
EXIT_PARTLY = 5


class Problem(Exception):
    def __init__(self, text, hint="", status=EXIT_FAILED):
        super().__init__(text)
        self.hint = hint
        self.status = status
