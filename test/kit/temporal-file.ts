// Before each test file of the Temporal groups, though only the first of a process finds something to do: the rest shares its modules.

import './recovery-world.ts';
