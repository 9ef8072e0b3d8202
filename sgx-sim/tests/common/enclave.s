# The code of the tests' tiny enclaves. Position-independent; it is copied into an image.
#
# On entry RAX is CSSA, RBX the TCS, RCX where EEXIT goes. Every entry point with CSSA > 0 is
# the exception handler: RDI is the number of bytes to move the interrupted RIP on by.

.pushsection .rodata.tiny, "a", @progbits
.balign 4096
tiny_start:

.macro ENTRY name
.balign 16
\name:
    test eax, eax
    jnz tiny_handler
.endm

.macro EEXIT target
    mov rbx, \target
    mov eax, 4
    enclu
.endm

# Whoever resumes need not stand where the first entry stood: the outside RSP and RBP are those
# that ERESUME has saved. GS is TCS + 3000h, SSA frame 0 ends at TCS + 2000h.
.macro OUTSIDE_STACK
    mov rsp, gs:[-0x1000 - 184 + 144]
    mov rbp, gs:[-0x1000 - 184 + 152]
.endm

tiny_handler:
    # SSA frame CSSA-1, of one page, at TCS + 4096 * CSSA; GPRSGX.RIP at its end.
    shl rax, 12
    add rax, rbx
    add [rax + 4096 - 184 + 136], rdi
    EEXIT rcx

# RDI + 1, CSSA, TCS, FS base, GS base.
ENTRY tiny_echo
    inc rdi
    mov rsi, rax
    mov rdx, rbx
    rdfsbase r8
    rdgsbase r9
    inc r10
    EEXIT rcx

# Executes leaf EDI with RBX = RSI, RCX = RDX, RDX = R8. RDI: RAX after it, RSI: RFLAGS.
ENTRY tiny_leaf
    mov r15, rcx
    mov eax, edi
    mov rbx, rsi
    mov rcx, rdx
    mov rdx, r8
    stc
    enclu
    mov rdi, rax
    lahf
    movzx esi, ah
    OUTSIDE_STACK
    EEXIT r15

# Executes leaf EDI with RBX = RSI for the pages from RDX to R8, as long as it leaves R9D in EAX.
# From page to page RBX moves on by the upper half of R9.
# RDI: the page where it stopped, RSI: how many leaves were executed, RDX: EAX.
ENTRY tiny_leaves
    mov r15, rcx
    mov rbx, rsi
    mov rcx, rdx
    mov r11, r9
    shr r11, 32
    xor r10d, r10d
2:  mov eax, edi
    add r10, 1
    enclu
    cmp eax, r9d
    jne 3f
    add rbx, r11
    add rcx, 4096
    cmp rcx, r8
    jb 2b
3:  mov rdi, rcx
    mov rsi, r10
    mov edx, eax
    OUTSIDE_STACK
    EEXIT r15

# Reads, writes or executes: RDI 0: load from RSI, 1: store RDX to RSI, 2: call RSI.
ENTRY tiny_touch
    mov r15, rcx
    cmp edi, 1
    je 2f
    ja 3f
    mov rdi, [rsi]
    EEXIT r15
2:  mov [rsi], rdx
    EEXIT r15
3:  mov r14, rsp
    rdgsbase rsp
    add rsp, 2048
    call rsi
    mov rsp, r14
    EEXIT r15

# Fills the registers from the pattern RSI; R15 is kept.
# The stack is the host's, which it uses during asynchronous exits: it stays untouched.
.macro FILL
    mov r8, rsi
    lea r9, [rsi + 1]
    lea r10, [rsi + 2]
    lea r11, [rsi + 3]
    lea r12, [rsi + 4]
    lea r14, [rsi + 5]
    lea rbp, [rsi + 6]
    movq xmm0, rsi
    movq xmm7, r12
    movq xmm15, r9
.endm

# RDI: 0 if the registers still hold the pattern.
.macro VERIFY
    xor edi, edi
    lea rax, [rsi + 1]
    xor rax, r9
    or rdi, rax
    lea rax, [rsi + 2]
    xor rax, r10
    or rdi, rax
    lea rax, [rsi + 3]
    xor rax, r11
    or rdi, rax
    lea rax, [rsi + 4]
    xor rax, r12
    or rdi, rax
    lea rax, [rsi + 5]
    xor rax, r14
    or rdi, rax
    lea rax, [rsi + 6]
    xor rax, rbp
    or rdi, rax
    mov rax, rsi
    xor rax, r8
    or rdi, rax
    movq rax, xmm0
    xor rax, rsi
    or rdi, rax
    movq rax, xmm7
    xor rax, r12
    or rdi, rax
    movq rax, xmm15
    xor rax, r9
    or rdi, rax
.endm

# Raises exception EDI, with the pattern RSI in the registers. Afterwards RDI is 0 if they
# survived. RDX: an address for the kinds that need one.
ENTRY tiny_trap
    mov r15, rcx
    mov ecx, edi
    mov rdi, rdx
    FILL
    mov ebx, 0x1bb1
    cmp ecx, 0
    je 20f
    cmp ecx, 2
    je 22f
    cmp ecx, 3
    je 23f
    cmp ecx, 4
    je 24f
    cmp ecx, 5
    je 25f
    cmp ecx, 6
    je 26f
    cmp ecx, 7
    je 27f
    cmp ecx, 9
    je 29f
    ud2
    jmp 40f
20: # divide error: div ecx is 2 bytes
    xor ecx, ecx
    xor edx, edx
    mov eax, 1
    div ecx
    jmp 40f
22: int3
    jmp 40f
23: # load: 3 bytes
    mov rax, [rdi]
    jmp 40f
24: # store: 3 bytes
    mov [rdi], rax
    jmp 40f
25: # general protection: 1 byte
    hlt
    jmp 40f
26: # SIMD exception: divides by zero, unmasked; 4 bytes
    mov dword ptr gs:[64], 0x1d80
    ldmxcsr gs:[64]
    mov eax, 1
    cvtsi2sd xmm1, eax
    xorpd xmm2, xmm2
    divsd xmm1, xmm2
    mov dword ptr gs:[64], 0x1f80
    ldmxcsr gs:[64]
    jmp 40f
27: # x87 exception: divides by zero, unmasked; 2 bytes after which fwait raises it
    fninit
    mov word ptr gs:[64], 0x37b
    fldcw gs:[64]
    fld1
    fldz
    fdivp
    nop
    fwait
    fninit
    jmp 40f
29: # two-byte interrupt 3
    .byte 0xcd, 3
40: VERIFY
    OUTSIDE_STACK
    EEXIT r15

# Fills YMM15, and ZMM31 and K1 if RDI is 1, from the data page at 512; raises #UD; RDI is then 0
# if they survived.
ENTRY tiny_wide
    mov r15, rcx
    mov r14, rdi
    vmovdqu ymm15, gs:[512]
    test r14, r14
    jz 2f
    vmovdqu64 zmm31, gs:[512]
    kmovw k1, gs:[512]
2:  ud2
    vmovdqu gs:[1024], ymm15
    test r14, r14
    jz 3f
    vmovdqu64 gs:[1024], zmm31
    kmovw gs:[1088], k1
3:  mov rdi, gs:[512 + 24]
    xor rdi, gs:[1024 + 24]
    OUTSIDE_STACK
    EEXIT r15

# Spins until the word at the data page is not zero; counts at 8; then checks the registers.
ENTRY tiny_spin
    mov r15, rcx
    mov qword ptr gs:[16], 1
    FILL
2:  inc qword ptr gs:[8]
    cmp qword ptr gs:[0], 0
    je 2b
    VERIFY
    OUTSIDE_STACK
    EEXIT r15

.balign 4096
tiny_end:
.popsection
