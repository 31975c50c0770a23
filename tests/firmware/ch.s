@ SPDX-License-Identifier: MIT
@
@ A program for the tests to flash and then to boot. It runs in QEMU's netduinoplus2 and on
@ a real STM32F4 Discovery: at reset it checks its own image and says on USART1 (PA9,
@ 115200 8N1)
@
@     moonflash: ch.bin runs at 0x08000000
@
@ or, when what stands in flash is not what was built, "moonflash: corrupt".
@
@ The image is made so that a flasher that goes wrong is seen:
@   - it is about 58 KB, so it spans four of the F4's 16 KB sectors and ends within a block;
@   - between the code and its end is a table of pseudo-random words, no two blocks of which
@     are alike, with a checksum that depends on their order: a block lost, doubled, swapped
@     or not erased before it was written changes it;
@   - the printed text is initialised data, stored after the table and copied to RAM, and the
@     checksum is the very last of it: an image that is cut short is corrupt;
@   - the address is taken from the program counter: it is where the program runs, not where
@     someone meant it to.
@
@ Assembled with --defsym APP=1 it names itself app.bin; ch.ld says where it is linked.

        .syntax unified
        .cpu    cortex-m4
        .thumb

        .equ    RCC_BASE,       0x40023800
        .equ    RCC_CR,         0x00
        .equ    RCC_CFGR,       0x08
        .equ    RCC_AHB1ENR,    0x30
        .equ    RCC_APB2ENR,    0x44
        .equ    GPIOA_BASE,     0x40020000
        .equ    GPIO_MODER,     0x00
        .equ    GPIO_AFRH,      0x24
        .equ    USART1_BASE,    0x40011000
        .equ    USART_SR,       0x00
        .equ    USART_DR,       0x04
        .equ    USART_BRR,      0x08
        .equ    USART_CR1,      0x0C
        .equ    USART_SR_TXE,   1 << 7
        .equ    SCB_VTOR,       0xE000ED08

        .equ    TABLE_WORDS,    57 * 1024 / 4

        .section .text, "ax", %progbits

@ Only the system exceptions: the program enables no interrupt. The symbols from stack_top on
@ are ch.ld's.
        .balign 128
        .global vectors
vectors:
        .word   stack_top
        .word   reset
        .rept   14                      @ NMI to SysTick
        .word   halt
        .endr

@ The on-board loader may come here by a jump rather than a reset ("leave"), with its own
@ stack, its vectors and an interrupt pending; hence the first lines.
        .global reset
        .thumb_func
        .type   reset, %function
reset:
        cpsid   i
        ldr     r0, =stack_top
        mov     sp, r0
        adr.w   r4, vectors             @ r4: where the image runs, kept for the text
        ldr     r0, =SCB_VTOR
        str     r4, [r0]
        dsb

        ldr     r0, =data_load
        ldr     r1, =data_start
        ldr     r2, =data_end
1:      cmp     r1, r2
        bhs     2f
        ldr     r3, [r0], #4
        str     r3, [r1], #4
        b       1b
2:
        bl      uart_init
        bl      table_is_right
        cbz     r0, corrupt

        ldr     r0, =text_line
        bl      puts
        mov     r0, r4
        bl      puthex
        ldr     r0, =text_newline
        bl      puts
        b       halt

@ This text is not initialised data: when the image is corrupt, the copy in RAM may be too.
corrupt:
        adr.w   r0, text_corrupt
        bl      puts

        .thumb_func
        .type   halt, %function
halt:
        wfi
        b       halt

@ r0: 1 when the table's checksum is the one the assembler worked out, else 0. The second
@ sum adds up the first, which makes it depend on the order of the words.
        .thumb_func
        .type   table_is_right, %function
table_is_right:
        ldr     r0, =table
        ldr     r1, =TABLE_WORDS
        movs    r2, #0
        movs    r3, #0
1:      ldr     r5, [r0], #4
        add     r2, r2, r5
        add     r3, r3, r2
        subs    r1, r1, #1
        bne     1b

        movs    r0, #0
        ldr     r5, =table_sum
        ldr     r1, [r5]
        cmp     r1, r2
        bne     2f
        ldr     r1, [r5, #4]
        cmp     r1, r3
        bne     2f
        movs    r0, #1
2:      bx      lr

@ The UART's clock is the 16 MHz HSI with no divider, as after a reset; it is selected here
@ because the loader may have left the PLL running. QEMU models no RCC (it reads as 0), so
@ the wait for HSIRDY is bounded; the one for SWS = HSI = 0 need not be.
        .thumb_func
        .type   uart_init, %function
uart_init:
        ldr     r0, =RCC_BASE
        ldr     r1, [r0, #RCC_CR]
        orr     r1, r1, #1              @ HSION
        str     r1, [r0, #RCC_CR]
        movw    r2, #10000
1:      ldr     r1, [r0, #RCC_CR]
        tst     r1, #2                  @ HSIRDY
        bne     2f
        subs    r2, r2, #1
        bne     1b
2:      movs    r1, #0
        str     r1, [r0, #RCC_CFGR]
3:      ldr     r1, [r0, #RCC_CFGR]
        tst     r1, #0xC                @ SWS
        bne     3b

        ldr     r1, [r0, #RCC_AHB1ENR]
        orr     r1, r1, #1              @ GPIOAEN
        str     r1, [r0, #RCC_AHB1ENR]
        ldr     r1, [r0, #RCC_APB2ENR]
        orr     r1, r1, #1 << 4         @ USART1EN
        str     r1, [r0, #RCC_APB2ENR]
        ldr     r1, [r0, #RCC_APB2ENR]  @ the clock is on some cycles after the write

        ldr     r0, =GPIOA_BASE         @ PA9: alternate function 7, USART1_TX
        ldr     r1, [r0, #GPIO_AFRH]
        bic     r1, r1, #0xF << 4
        orr     r1, r1, #7 << 4
        str     r1, [r0, #GPIO_AFRH]
        ldr     r1, [r0, #GPIO_MODER]
        bic     r1, r1, #3 << 18
        orr     r1, r1, #2 << 18
        str     r1, [r0, #GPIO_MODER]

        ldr     r0, =USART1_BASE
        movs    r1, #0x8B               @ 16 MHz / 115200
        str     r1, [r0, #USART_BRR]
        movw    r1, #0x2008             @ UE | TE
        str     r1, [r0, #USART_CR1]
        bx      lr

@ Prints the string at r0 up to its 0.
        .thumb_func
        .type   puts, %function
puts:
        push    {r4, lr}
        mov     r4, r0
1:      ldrb    r0, [r4], #1
        cbz     r0, 2f
        bl      putc
        b       1b
2:      pop     {r4, pc}

@ Prints r0 as eight hex digits.
        .thumb_func
        .type   puthex, %function
puthex:
        push    {r4, r5, r6, lr}
        mov     r4, r0
        movs    r5, #8
        ldr     r6, =text_digits
1:      lsrs    r0, r4, #28
        ldrb    r0, [r6, r0]
        bl      putc
        lsls    r4, r4, #4
        subs    r5, r5, #1
        bne     1b
        pop     {r4, r5, r6, pc}

        .thumb_func
        .type   putc, %function
putc:
        ldr     r1, =USART1_BASE
1:      ldr     r2, [r1, #USART_SR]
        tst     r2, #USART_SR_TXE
        beq     1b
        str     r0, [r1, #USART_DR]
        bx      lr

text_corrupt:
        .asciz  "moonflash: corrupt\n"
        .balign 4
        .ltorg

@ The table and its checksum come from one loop, so they cannot disagree: `seed` is the LCG
@ of Numerical Recipes; its low bits repeat soon, so the word has the high ones mixed in.
@ Everything is cut to 32 bits, whatever width the assembler calculates with.
        .section .rodata, "a", %progbits
        .balign 4
table:
        .set    seed, 0x6D6F6F6E        @ "moon"
        .set    sum_1, 0
        .set    sum_2, 0
        .rept   TABLE_WORDS
        .set    seed, (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        .set    entry, seed ^ (seed >> 16)
        .set    sum_1, (sum_1 + entry) & 0xFFFFFFFF
        .set    sum_2, (sum_2 + sum_1) & 0xFFFFFFFF
        .word   entry
        .endr

        .section .data, "aw", %progbits
        .balign 4
text_line:
        .ifdef  APP
        .asciz  "moonflash: app.bin runs at 0x"
        .else
        .asciz  "moonflash: ch.bin runs at 0x"
        .endif
text_newline:
        .asciz  "\n"
text_digits:
        .ascii  "0123456789abcdef"
        .balign 4
table_sum:                              @ last: see above
        .word   sum_1, sum_2
