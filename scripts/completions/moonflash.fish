# SPDX-License-Identifier: MIT
# fish: completion of moonflash's command line.  'moonflash complete' knows what may stand where.

function __moonflash_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l lines ($words[1] complete $words[2..] $last 2>/dev/null)
    set -l shell (string split ' ' -- $lines[1])
    printf '%s\n' $lines[2..]
    switch "$shell[1]"
        case files
            if set -q shell[2]
                __fish_complete_suffix (string replace '*' '' -- $shell[2])
            else
                __fish_complete_path $last
            end
        case folders
            __fish_complete_directories $last
    end
end

complete -c moonflash -f -a '(__moonflash_complete)'
