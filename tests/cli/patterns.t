Reports and captures whose names have places for facts.

$ mkdir runs; moonflash --virtual-time -d sim:f407,serial=A/1 flash ch.bin --report 'runs/{slot}-{serial}.html' --pcap 'runs/{serial}.pcap'; ls runs
wrote 57.5 KB, verified (1.3 s)
A_1.pcap
none-A_1.html
$ moonflash --virtual-time -d sim:f407,serial=A/1 flash ch.bin --report 'runs/{slot}-{serial}.html' --pcap 'runs/{serial}.pcap'; ls runs
wrote 57.5 KB, verified (1.3 s)
A_1-2.pcap
A_1.pcap
none-A_1-2.html
none-A_1.html
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2,serial=B info --report 'runs/{serial}.html' >/dev/null; ls runs | tail -1
sim:f407: PASS (0.0 s)
sim:f407#2,serial=B: PASS (0.0 s)
2 boards passed.
several.html
$ moonflash -d sim:f407 info --report 'runs/{seril}.html'
moonflash: --report: there is no {seril} (did you mean 'serial'?); there are {date}, {time}, {slot}, {serial}, {path}, {unit}
[status 64]
$ moonflash --virtual-time -d sim:f407 info --report 'nowhere/{serial}.html' | tail -1
moonflash: nowhere/315A28A0B956.html can't be written: No such file or directory
mind: STM32F405/407: the ROM V3.0 announces wrong poll times (AN2606)
