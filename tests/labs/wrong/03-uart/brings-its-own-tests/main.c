#error this is compiled
