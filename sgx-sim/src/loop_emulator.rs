//! Executes the instructions between one ENCLU and the next in a loop over pages.
//!
//! Each ENCLU is a trap, which takes as long as thousands of instructions. A loop that accepts
//! pages has only a few instructions between two ENCLUs. If all of them only compute in registers,
//! the handler of the first trap executes them, and continues with the next ENCLU. The code stays
//! as it was measured, and finds every register and flag as if it had run by itself. If there is
//! any other instruction, the code does run by itself.

use crate::enclave::Enclave;
use crate::epcm::PAGE;
use crate::leaf::Registers;
use crate::memory;

/// The most instructions to execute between two ENCLUs.
const INSTRUCTIONS: usize = 32;
/// The length of the longest instruction known here, and more.
const LONGEST: usize = 16;

pub(crate) const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];

/// Flags that arithmetic changes (SDM Vol. 1, 3.4.3.1).
const CF: i64 = 1 << 0;
const PF: i64 = 1 << 2;
const AF: i64 = 1 << 4;
const ZF: i64 = 1 << 6;
const SF: i64 = 1 << 7;
const OF: i64 = 1 << 11;
/// The trap flag: a debugger steps through the code, and must see each instruction.
const TF: i64 = 1 << 8;

/// The registers by their number in instructions.
const NUMBERED: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Executes from RIP on until it reaches an ENCLU. Returns whether it does. If not, the registers
/// are unchanged.
pub(crate) fn to_next_enclu(enclave: &Enclave, registers: &mut Registers) -> bool {
    if registers[libc::REG_EFL as usize] & TF != 0 {
        return false;
    }
    let mut ahead = *registers;
    for _ in 0..INSTRUCTIONS {
        let rip = ahead[libc::REG_RIP as usize] as usize;
        // The last instruction was in the enclave, so other code in the same page can run too.
        let before = registers[libc::REG_RIP as usize] as usize - 1;
        if rip / PAGE != before / PAGE || rip % PAGE > PAGE - LONGEST || !enclave.contains(rip) {
            return false;
        }
        // SAFETY: bytes have no invalid values.
        let Ok(code) = (unsafe { memory::read::<[u8; LONGEST]>(rip) }) else { return false };
        if code.starts_with(&ENCLU) {
            *registers = ahead;
            return true;
        }
        let Some(length) = step(&mut ahead, &code) else { return false };
        ahead[libc::REG_RIP as usize] += length;
    }
    false
}

/// The operations of the known instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Or,
    And,
    Sub,
    Xor,
    Cmp,
    Mov,
    Test,
}

impl Operation {
    /// Decodes bits 3 to 5 of the one-byte opcodes below 0x40, or of the ModRM byte after 0x81 and
    /// 0x83.
    fn numbered(number: u8) -> Option<Self> {
        Some(match number {
            0 => Operation::Add,
            1 => Operation::Or,
            4 => Operation::And,
            5 => Operation::Sub,
            6 => Operation::Xor,
            7 => Operation::Cmp,
            _ => return None,
        })
    }
}

/// Executes one instruction on registers alone. Returns how far RIP moves, or `None` for an unknown
/// instruction.
fn step(registers: &mut Registers, code: &[u8; LONGEST]) -> Option<i64> {
    let (rex, code) = match code[0] {
        rex @ 0x40..=0x4f => (rex, &code[1..]),
        _ => (0, &code[..]),
    };
    let prefix = i64::from(rex != 0);
    let wide = rex & 8 != 0;
    let byte = |at: usize| i64::from(code[at] as i8);
    let word = |at: usize| {
        i64::from(i32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]]))
    };
    // The ModRM byte of two registers.
    let (reg, rm) = (code[1] >> 3 & 7, code[1] & 7);
    let both_registers = code[1] >> 6 == 3;
    let reg_register = NUMBERED[usize::from(reg | (rex & 4) << 1)] as usize;
    let rm_register = NUMBERED[usize::from(rm | (rex & 1) << 3)] as usize;

    let (operation, to, operand, length) = match code[0] {
        opcode @ (0x70..=0x7f | 0xeb) if rex == 0 => {
            let taken = opcode == 0xeb || condition(registers[libc::REG_EFL as usize], opcode & 15);
            return Some(2 + if taken { byte(1) } else { 0 });
        }
        opcode @ 0xb8..=0xbf if !wide => {
            let to = NUMBERED[usize::from(opcode & 7 | (rex & 1) << 3)] as usize;
            (Operation::Mov, to, word(1), 5)
        }
        // Operation, register to register: both directions.
        opcode @ 0x00..=0x3f if opcode & 7 == 1 && both_registers => {
            (Operation::numbered(opcode >> 3)?, rm_register, registers[reg_register], 2)
        }
        opcode @ 0x00..=0x3f if opcode & 7 == 3 && both_registers => {
            (Operation::numbered(opcode >> 3)?, reg_register, registers[rm_register], 2)
        }
        0x81 if both_registers => (Operation::numbered(reg)?, rm_register, word(2), 6),
        0x83 if both_registers => (Operation::numbered(reg)?, rm_register, byte(2), 3),
        0x85 if both_registers => (Operation::Test, rm_register, registers[reg_register], 2),
        0x89 if both_registers => (Operation::Mov, rm_register, registers[reg_register], 2),
        0x8b if both_registers => (Operation::Mov, reg_register, registers[rm_register], 2),
        _ => return None,
    };
    let flags = registers[libc::REG_EFL as usize];
    let (result, flags) = compute(operation, registers[to], operand, wide, flags);
    registers[libc::REG_EFL as usize] = flags;
    match operation {
        Operation::Cmp | Operation::Test => {}
        _ => registers[to] = result,
    }
    Some(prefix + length)
}

/// Returns the result and the flags. Operands have 64 bits if `wide`, else 32, and then the
/// result's upper half is zero.
fn compute(operation: Operation, a: i64, b: i64, wide: bool, flags: i64) -> (i64, i64) {
    let bits = if wide { 64 } else { 32 };
    let mask = u64::MAX >> (64 - bits);
    let (a, b) = (a as u64 & mask, b as u64 & mask);
    let result = mask
        & match operation {
            Operation::Add => a.wrapping_add(b),
            Operation::Sub | Operation::Cmp => a.wrapping_sub(b),
            Operation::Or => a | b,
            Operation::And | Operation::Test => a & b,
            Operation::Xor => a ^ b,
            Operation::Mov => return (b as i64, flags),
        };
    let (carry, overflow, half) = match operation {
        Operation::Add => (result < a, !(a ^ b) & (a ^ result), a ^ b ^ result),
        Operation::Sub | Operation::Cmp => (a < b, (a ^ b) & (a ^ result), a ^ b ^ result),
        // AF is undefined after these operations; processors clear it.
        _ => (false, 0, 0),
    };
    let top = 1 << (bits - 1);
    let set = [
        (CF, carry),
        (PF, (result as u8).count_ones().is_multiple_of(2)),
        (AF, half & 16 != 0),
        (ZF, result == 0),
        (SF, result & top != 0),
        (OF, overflow & top != 0),
    ];
    let flags =
        set.iter().fold(flags, |flags, &(flag, is)| if is { flags | flag } else { flags & !flag });
    (result as i64, flags)
}

/// Evaluates a condition code (SDM Vol. 1, appendix B).
fn condition(flags: i64, code: u8) -> bool {
    let is = |flag: i64| flags & flag != 0;
    let holds = match code >> 1 {
        0 => is(OF),
        1 => is(CF),
        2 => is(ZF),
        3 => is(CF | ZF),
        4 => is(SF),
        5 => is(PF),
        6 => is(SF) != is(OF),
        _ => is(ZF) || is(SF) != is(OF),
    };
    holds != (code & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::arch::asm;

    const EDGES: [i64; 12] = [
        0,
        1,
        -1,
        0x10,
        0x0f,
        4096,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        i64::MAX,
        i64::MIN,
        0x1234_5678_9abc_def0,
    ];

    /// Runs an instruction on RCX and R8 natively and here, for all pairs of edge values.
    macro_rules! as_the_processor_does {
        ($text:literal, $code:expr) => {
            for a in EDGES {
                for b in EDGES {
                    let (mut rcx, mut r8) = (a, b);
                    let flags: i64;
                    // SAFETY: changes the registers that it names, and the flags.
                    unsafe {
                        asm!(
                            $text,
                            "pushfq",
                            "pop {flags}",
                            flags = out(reg) flags,
                            inout("rcx") rcx,
                            inout("r8") r8,
                        );
                    }
                    let mut code = [0x90; LONGEST];
                    let bytes: &[u8] = &$code;
                    code[..bytes.len()].copy_from_slice(bytes);
                    let mut registers: Registers = [0; 23];
                    registers[libc::REG_RCX as usize] = a;
                    registers[libc::REG_R8 as usize] = b;
                    assert_eq!(step(&mut registers, &code), Some(bytes.len() as i64), $text);
                    let status = CF | PF | ZF | SF | OF | if $text.starts_with("t") { 0 } else { AF };
                    let seen = registers[libc::REG_EFL as usize];
                    assert_eq!(registers[libc::REG_RCX as usize], rcx, "{} {a:x} {b:x}", $text);
                    assert_eq!(registers[libc::REG_R8 as usize], r8, "{} {a:x} {b:x}", $text);
                    assert_eq!(seen & status, flags & status, "{} {a:x} {b:x}", $text);
                }
            }
        };
    }

    #[test]
    fn registers_and_flags_match_the_processor() {
        as_the_processor_does!("add rcx, r8", [0x4c, 0x01, 0xc1]);
        as_the_processor_does!("add rcx, 4096", [0x48, 0x81, 0xc1, 0, 0x10, 0, 0]);
        as_the_processor_does!("add ecx, -1", [0x83, 0xc1, 0xff]);
        as_the_processor_does!("sub r8, rcx", [0x49, 0x29, 0xc8]);
        as_the_processor_does!("sub r8d, ecx", [0x41, 0x29, 0xc8]);
        as_the_processor_does!("cmp rcx, r8", [0x4c, 0x39, 0xc1]);
        as_the_processor_does!("cmp ecx, r8d", [0x44, 0x39, 0xc1]);
        as_the_processor_does!("cmp r8, 6", [0x49, 0x83, 0xf8, 6]);
        as_the_processor_does!("test ecx, ecx", [0x85, 0xc9]);
        as_the_processor_does!("test r8, rcx", [0x49, 0x85, 0xc8]);
    }

    #[test]
    fn instructions_that_change_no_flags_match_the_processor() {
        let mut registers: Registers = [0; 23];
        registers[libc::REG_EFL as usize] = ZF | CF;
        registers[libc::REG_RCX as usize] = -1;
        let mut run = |bytes: &[u8]| {
            let mut code = [0x90; LONGEST];
            code[..bytes.len()].copy_from_slice(bytes);
            let length = step(&mut registers, &code);
            let get = |register: i32| registers[register as usize];
            (length, get(libc::REG_RAX), get(libc::REG_R9), get(libc::REG_EFL))
        };
        assert_eq!(run(&[0xb8, 5, 0, 0, 0]), (Some(5), 5, 0, ZF | CF));
        // mov eax, ecx: the upper half is zero.
        assert_eq!(run(&[0x89, 0xc8]), (Some(2), 0xffff_ffff, 0, ZF | CF));
        // mov r9, rcx, by either opcode; mov r9d, imm32.
        assert_eq!(run(&[0x49, 0x89, 0xc9]), (Some(3), 0xffff_ffff, -1, ZF | CF));
        assert_eq!(run(&[0x41, 0xb9, 1, 0, 0, 0x80]).2, 0x8000_0001);
        assert_eq!(run(&[0x4c, 0x8b, 0xc9]), (Some(3), 0xffff_ffff, -1, ZF | CF));
        assert_eq!(run(&[0x74, 0xf0]).0, Some(2 - 16), "je");
        assert_eq!(run(&[0x75, 0xf0]).0, Some(2), "jne");
        assert_eq!(run(&[0xeb, 0x10]).0, Some(18), "jmp");
    }

    /// Compares every condition with SETcc after every comparison of edge values.
    #[test]
    fn conditions_match_the_processor() {
        macro_rules! condition_is {
            ($set:literal, $code:literal) => {
                for a in EDGES {
                    for b in EDGES {
                        let (holds, flags): (u8, i64);
                        // SAFETY: compares two registers.
                        unsafe {
                            asm!(
                                "cmp {a}, {b}",
                                $set,
                                "pushfq",
                                "pop {flags}",
                                a = in(reg) a,
                                b = in(reg) b,
                                out("al") holds,
                                flags = out(reg) flags,
                            );
                        }
                        assert_eq!(condition(flags, $code), holds == 1, "{} {a:x} {b:x}", $set);
                    }
                }
            };
        }
        condition_is!("seto al", 0);
        condition_is!("setno al", 1);
        condition_is!("setb al", 2);
        condition_is!("setae al", 3);
        condition_is!("sete al", 4);
        condition_is!("setne al", 5);
        condition_is!("setbe al", 6);
        condition_is!("seta al", 7);
        condition_is!("sets al", 8);
        condition_is!("setns al", 9);
        condition_is!("setp al", 10);
        condition_is!("setnp al", 11);
        condition_is!("setl al", 12);
        condition_is!("setge al", 13);
        condition_is!("setle al", 14);
        condition_is!("setg al", 15);
    }

    #[test]
    fn unknown_instructions_and_memory_accesses_are_not_emulated() {
        for bytes in [
            &[0x8b, 0x01][..],      // mov eax, [rcx]
            &[0x89, 0x48, 0x08],    // mov [rax+8], ecx
            &[0x48, 0x83, 0x01, 1], // add qword ptr [rcx], 1
            &[0x11, 0xc8],          // adc eax, ecx
            &[0xe8, 0, 0, 0, 0],    // call
            &[0xc3],                // ret
            &[0x66, 0x01, 0xc8],    // add ax, cx
            &[0xf3, 0x90],          // pause
            &[0x48, 0xb8, 0, 0, 0], // mov rax, imm64
            &[0x0f, 0xa2],          // cpuid
        ] {
            let mut code = [0x90; LONGEST];
            code[..bytes.len()].copy_from_slice(bytes);
            let mut registers: Registers = [7; 23];
            assert_eq!(step(&mut registers, &code), None, "{bytes:x?}");
            assert_eq!(registers, [7; 23]);
        }
    }
}
