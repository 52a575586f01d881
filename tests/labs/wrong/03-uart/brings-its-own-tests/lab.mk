kernel.elf:
	cp solution.elf kernel.elf
