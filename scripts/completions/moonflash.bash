# SPDX-License-Identifier: MIT
# bash: completion of moonflash's command line.  'moonflash complete' knows what may stand where.

# The words up to the cursor, in `words`.  Readline splits them at ":" and "=", and moonflash takes
# them whole: what stands together in the line is one word.  Quotes are the shell's own.
_moonflash_words() {
  local line=${COMP_LINE:0:COMP_POINT} word i is_new rest
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    rest=${line#"${line%%[![:space:]]*}"} # without the blanks before it
    [[ $i -gt 0 && $rest == "$line" && (-n $word || -z $line) ]]
    is_new=$?
    ((i < COMP_CWORD)) || word=${word:0:${#rest}}
    if ((is_new)); then words+=("$word"); else words[-1]+=$word; fi
    line=${rest#"$word"}
  done
  quote=${words[-1]:0:1}
  [[ $quote == [\"\'] ]] || quote=
  for ((i = 0; i < ${#words[@]}; i++)); do
    word=${words[i]}
    [[ $word != \"* && $word != \'* ]] || word=${word:1}
    ((i == ${#words[@]} - 1)) || word=${word%[\"\']}
    word=${word//\\/}
    [[ $word != "~/"* ]] || word=$HOME/${word:2}
    words[i]=$word
  done
}

# Adds the files, or folders, that begin with the value of the last word.
_moonflash_files() {
  local option=
  [[ $last != --*=* ]] || option=${last%%=*}=
  mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen "$@" -P "$option" -- "${last#"$option"}")
}

_moonflash() {
  local words lines shell last break quote
  _moonflash_words
  last=${words[-1]}
  mapfile -t lines < <("${words[0]}" complete "${words[@]:1}" 2>/dev/null)
  shell=${lines[0]:--}
  COMPREPLY=("${lines[@]:1}")
  COMPREPLY=("${COMPREPLY[@]%%$'\t'*}") # without their meanings
  [[ $shell == - ]] || compopt -o filenames
  case $shell in
    files) _moonflash_files -f ;;
    "files "*)
      _moonflash_files -d
      _moonflash_files -f -X "!${shell#files }"
      ;;
    folders) _moonflash_files -d ;;
  esac
  # Readline replaces what stands behind the last break, or behind a quote.
  break=${last##*[:=]}
  [[ -n $quote || $break == "$last" ]] || COMPREPLY=("${COMPREPLY[@]#"${last%"$break"}"}")
}
complete -F _moonflash moonflash
