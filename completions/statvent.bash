# bash completion for statvent. Nothing that stands in the line is run.

_statvent()
{
    local command=$1 what='' word
    COMPREPLY=()
    case $command in
    \~/*) command=$HOME/${command:2} ;;
    esac
    case $(type -t -- "$command") in
    file | function) ;;
    *) command=statvent ;; # an alias
    esac
    {
        IFS= read -r what
        while IFS= read -r word; do
            COMPREPLY+=("$word")
        done
    } < <("$command" __completeBash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" "${COMP_TYPE-}" 2>/dev/null)
    # Before bash 4, files are offered where nothing else is.
    type -t compopt >/dev/null || return 0
    case $what in
    nospace) compopt -o nospace +o bashdefault +o default ;;
    none) compopt +o bashdefault +o default ;;
    dirs) compopt -o dirnames +o bashdefault +o default ;;
    esac
}

complete -o bashdefault -o default -F _statvent statvent
