"""The parts of vmm grade. Standard library only; Python 3.11 (tomllib) or newer.

cli       the command line, and the order of things
lab       what a LAB.toml says; reader checks its tables key by key
collect   which of a student's files are taken, and how
process   a child process with limits; sandbox puts bubblewrap round one
build     make, in a folder of its own
machine   one test in a machine of its own: steps, limits, what is left
disks     the disks of a test, and what is looked for on them
checks    compares output, exit status, disks; says what differs
picture   PNG and PPM, and what is compared of a screen
symbols   where in the sources an address is
report    the table, TAP, JUnit XML, JSON
words     errors as one sentence; text of guests made fit to be shown
"""
