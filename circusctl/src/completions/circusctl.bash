# bash completion for circusctl: source it, or put it into a directory that bash-completion reads.

_circusctl() {
    # Colons (in endpoints and in plugin:NAME) divide words for bash; circusctl wants them whole.
    local words cword cur
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n := words cword cur
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
    fi
    # Quotes belong to the line, not to the word.
    local index plain=()
    for index in "${!words[@]}"; do
        plain[index]=${words[index]//[\"\'\\]/}
    done
    local IFS=$'\n' line found
    found=$(AUTO_COMPLETE=lines COMP_WORDS="${plain[*]}" COMP_CWORD=$cword "${plain[0]}" 2>/dev/null)
    COMPREPLY=()
    while IFS= read -r line; do
        [ -n "$line" ] && COMPREPLY+=("$(printf '%q' "${line%%$'\t'*}")")
    done <<<"$found"
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}

complete -F _circusctl circusctl
