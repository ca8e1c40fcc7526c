<?php
// Publishes stats in the plain format, for programs of the command line: docs/languages.md.
declare(strict_types=1);

final class Publisher
{
    private array $stats = [];
    private string $pipe, $temporary, $state;
    private int $server; // 0 in it

    public function __construct() // before there are connections: it forks
    {
        $dir = getenv('STATVENT_PIPE_DIR') ?: '/tmp/stats-pipe';
        @mkdir($dir) && chmod($dir, 01777); // for every user, whatever the umask
        $this->pipe = sprintf('%s/%d.stats', $dir, getmypid());
        $this->temporary = sprintf('%s/.tmp-%d-%s', $dir, posix_geteuid(), bin2hex(random_bytes(8)));
        $this->state = tempnam(sys_get_temp_dir(), 'stats');
        $this->putFifo();
        $parent = getmypid();
        // PHP has no threads: a child waits for readers, and finds the stats in a file.
        ($this->server = pcntl_fork()) || $this->serve($parent);
        register_shutdown_function([$this, 'close']);
    }

    public function count(string $name, int|float $by = 1): void
    {
        $this->set($name, ($this->stats[$name] ?? 0) + $by);
    }

    public function set(string $name, int|float $value): void
    {
        $this->stats[$name] = $value;
        $line = fn ($name, $value) => strtr("$name", "\r\n", '  ') . ': ' . strtolower(var_export($value, true)) . "\n";
        file_put_contents("$this->state.next", array_map($line, array_keys($this->stats), $this->stats));
        rename("$this->state.next", $this->state); // a reader gets the one or the other
    }

    private function putFifo(): void
    {
        posix_mkfifo($this->temporary, 0644) && chmod($this->temporary, 0644) && rename($this->temporary, $this->pipe);
    }

    private function serve(int $parent): void
    {
        while (($out = fopen($this->pipe, 'w')) && posix_getppid() === $parent) { // waits for a reader
            $this->putFifo(); // for the next one, before anything is written
            @fwrite($out, file_get_contents($this->state)); // in vain if the reader has left
            fclose($out);
        }
        $this->close(); // the program was killed
    }

    public function close(): void
    {
        $this->server && posix_kill($this->server, SIGKILL) && pcntl_waitpid($this->server, $status);
        array_map(fn ($path) => @unlink($path), [$this->pipe, $this->temporary, $this->state]);
        $this->server || posix_kill(getmypid(), SIGKILL); // without what a program does at its end
    }
}
