#compdef circusctl
# zsh completion for circusctl: put it as `_circusctl` into a directory of $fpath, or source it after compinit.

_circusctl() {
    local line
    local -a plain names shown
    plain=("${(@Q)words}")
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        names+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done < <(AUTO_COMPLETE=lines COMP_WORDS="${(pj:\n:)plain}" COMP_CWORD=$((CURRENT - 1)) "${plain[1]}" 2>/dev/null)
    compadd -M 'm:{a-zA-Z}={A-Za-z}' -l -d shown -a names
}

if [[ $funcstack[1] == _circusctl ]]; then
    _circusctl "$@"
else
    compdef _circusctl circusctl
fi
