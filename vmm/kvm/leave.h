/*
 * The end of a process whose machine KVM still has to take down.
 *
 * For that KVM waits until no processor can be using the machine, 10 to 50 ms, in the exit of the
 * process that had it: until then nobody learns the exit status. So a second process, which shares
 * this one's memory and descriptors and does nothing, outlives it by that time.
 */
#pragma once

/*
 * Remembers the descriptor of a machine without processors, which then belongs to this file. One
 * for each process; the main thread.
 */
void leave_keep_vm(int vm_fd);

/*
 * Just before exit(), without other threads that matter: closes all other descriptors, standard
 * output and error too, so that nothing but the machine outlives the process. Does nothing when
 * there is no machine, and leaves it to exit() where it can't be left to another.
 */
void leave_vm_behind(void);
