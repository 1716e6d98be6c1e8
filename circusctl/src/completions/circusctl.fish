# fish completion for circusctl: put it as circusctl.fish into ~/.config/fish/completions, or source it.

function __circusctl_words
    set -l before (commandline -opc)
    set -l begun (commandline -ct)
    set -lx COMP_WORDS (string join \n -- $before $begun | string collect)
    set -lx COMP_CWORD (count $before)
    set -lx AUTO_COMPLETE lines
    command $before[1] 2>/dev/null
end

complete -c circusctl -f -a '(AUTO_COMPLETE=lines __circusctl_words)'
