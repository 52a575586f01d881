/* Words of the kernel's command line, by which a test tells a kernel what to do. */
#include "lab.h"

bool has_word(const char *words, const char *word)
{
	bool at_start = true;

	for (; *words; words++) {
		size_t n = 0;

		while (word[n] && words[n] == word[n])
			n++;
		if (at_start && !word[n] && (!words[n] || words[n] == ' '))
			return true;
		at_start = *words == ' ';
	}
	return false;
}
