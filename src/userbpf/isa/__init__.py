"""Instructions: the table, the slot and its codec, assembler, disassembler, and classic BPF."""
