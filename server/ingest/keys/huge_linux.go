package keys

import "syscall"

// hugePages asks for large pages: reads all over a filter then find their pages without a walk
// through memory. Without them it is slower.
func hugePages(memory []byte) { _ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) }
