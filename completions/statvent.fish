# fish completion for statvent. Nothing that stands in the line is run.

# Finds what the word may become, and returns false if that is a file.
function __statvent_find
    set -g __statvent_offered
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    # A quote may still be open.
    set -l typed (string unescape -- $word)
    set -q typed[1]; or set typed (string unescape -- $word\')
    set -q typed[1]; or set typed (string unescape -- $word\")
    set -l command (string replace -r '^~/' $HOME/ -- $words[1])
    type -q -- $command; or set command statvent
    set -l lines ($command __complete $words[2..-1] "$typed" 2>/dev/null)
    set -l directive (string replace -r '^:' '' -- $lines[-1])
    string match -qr '^[0-9]+$' -- $directive; or return 1
    set -l option (string match -r -- '^-[^=]*=' "$typed")
    for line in $lines[1..-2]
        set -a __statvent_offered "$option$line"
    end
    test (math "floor($directive / 16) % 2") -eq 1; and return 1
    test (count $__statvent_offered) -gt 0; or test (math "floor($directive / 4) % 2") -eq 1
end

complete -c statvent -e
complete -c statvent -n __statvent_find -f -a '$__statvent_offered'
