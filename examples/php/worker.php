<?php
// Shows the use of publisher.php. It takes lines from stdin, such as `count 2 app.requests` and
// `set 0.5 app.load`, and publishes until they end, or until a signal ends it.
declare(strict_types=1);

require __DIR__ . '/publisher.php';

$publisher = new Publisher();
pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM] as $signal) {
    pcntl_signal($signal, fn () => exit(0)); // which closes it
}
while (($input = [STDIN]) && @stream_select($input, $none, $none, null) && ($line = fgets(STDIN)) !== false) {
    [$verb, $value, $name] = explode(' ', rtrim($line, "\n"), 3);
    $publisher->{$verb}($name, $value + 0);
}
