# SPDX-License-Identifier: MIT
# fish: completion of moonflash's command line.  'moonflash complete' knows what may stand where.

function __moonflash_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l lines ($words[1] complete $words[2..] $last 2>/dev/null)
    set -l shell (string split ' ' -- $lines[1])
    printf '%s\n' $lines[2..]
    # In --option=VALUE the files are those that begin with the value.
    set -l option (string match -r -- '^--[^=]*=' $last)
    set -l value (string replace -- "$option" '' $last)
    switch "$shell[1]"
        case files
            if set -q shell[2]
                __fish_complete_suffix (string replace '*' '' -- $shell[2])
            else
                string replace -r '^' -- "$option" (__fish_complete_path $value)
            end
        case folders
            string replace -r '^' -- "$option" (__fish_complete_directories $value)
    end
end

complete -c moonflash -f -a '(__moonflash_complete)'
