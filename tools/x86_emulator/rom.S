# A 64 KiB "BIOS": real mode -> long mode -> the kernel's 64-bit entry point.
# Everything else (kernel, initramfs, boot parameters, page tables) was put
# into RAM by Bochs (optramimage1..3).
        .code16
        .text
start:
        cli
        outb    %al, $0xec
        lgdtl   %cs:(gdtr - start)
        movl    %cr0, %eax
        andl    $0x9fffffff, %eax       # caches on
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $8, $(0xffff0000 + (prot - start))
        .code32
prot:
        movw    $0x18, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $0x620, %eax            # PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $0x11000, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x100, %eax
        wrmsr
        # MTRRs: enabled, write-back by default
        movl    $0x2ff, %ecx
        movl    $0x806, %eax
        xorl    %edx, %edx
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000022, %eax       # PG, NE, MP
        movl    %eax, %cr0
        ljmpl   $0x10, $(0xffff0000 + (long - start))
        .code64
long:
        xorl    %ebp, %ebp
        xorl    %edi, %edi
        xorl    %ebx, %ebx
        movl    $0x10000, %esi          # boot_params
        movl    $0x80000, %esp
        movl    0x10ff8, %eax           # entry point, set by run.py
        jmp     *%rax
        .balign 16
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 08 code32
        .quad   0x00af9b000000ffff      # 10 code64 (__BOOT_CS)
        .quad   0x00cf93000000ffff      # 18 data   (__BOOT_DS)
gdtr:   .word   31
        .long   0xffff0000 + (gdt - start)
        .org    0xfff0
        .code16
        jmp     start
        .org    0x10000
