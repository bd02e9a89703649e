# What the bug report runs: `npm ci` again and again in one pane of tmux, `ps` in a second, the kill waiting in a third.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  npm = pkgs.callPackage ../npm.nix { nodejs = pkgs.nodejs_22; };
  project = ../../packages/core/guest/npm-project;
  packages = npm.ofPackageLock (project + "/package-lock.json");
  cache = npm.cache "npm-ci-cache" packages npm.tarball;
  npmrc = pkgs.writeText "npmrc" ''
    offline=true
    audit=false
    fund=false
    update-notifier=false
  '';

  # A serial line has no size: ask the terminal for the position of its far corner. One that does not answer keeps its size.
  fix-stty-size = pkgs.writeShellApplication {
    name = "fix-stty-size";
    text = ''
      saved=$(stty -g)
      trap 'stty "$saved"' EXIT
      stty raw -echo min 0 time 10
      printf '\0337\033[r\033[999;999H\033[6n\0338'
      IFS='[;' read -r -s -d R -t 2 _ rows columns || exit 0
      trap - EXIT
      stty "$saved"
      stty rows "$rows" cols "$columns"
    '';
  };

  reproducer = pkgs.writeShellApplication {
    name = "reproducer";
    runtimeInputs = [ pkgs.tmux ];
    text = ''
      cd /root/project
      # Both consoles log in at the same moment. tty1, which nobody sees without graphics, must not shrink the window.
      attach() {
        if [ "$(tty)" = /dev/tty1 ]; then
          exec tmux attach-session -f ignore-size -t npm-ci
        fi
        exec tmux attach-session -t npm-ci
      }
      tmux new-session -d -s npm-ci 2> /dev/null || attach
      tmux send-keys -t npm-ci 'while true; do npm ci; done' Enter
      tmux split-window -t npm-ci
      tmux send-keys -t npm-ci "watch -d 'ps -p \$(pidof \"npm ci\") u'" Enter
      tmux split-window -t npm-ci
      tmux select-layout -t npm-ci even-vertical
      # Typed, without Enter.
      # shellcheck disable=SC2016
      tmux send-keys -t npm-ci 'kill -9 $(pidof "npm ci")'
      attach
    '';
  };
in
{
  options.reproducer.autostart = lib.mkOption {
    type = lib.types.bool;
    default = true;
    description = "Start the three panes on the first login on a console.";
  };

  config = {
    environment.systemPackages = [
      pkgs.nodejs_22
      pkgs.tmux
      pkgs.strace
      pkgs.ltrace
      pkgs.gdb
      pkgs.libuv.debug
      fix-stty-size
      reproducer
    ];

    # Copies: `npm ci` writes here, and the root file system is empty at each start.
    systemd.tmpfiles.rules = [
      "C /root/project 0755 root root - ${project}"
      "C /root/.npm 0755 root root - ${cache}"
      "L+ /root/.npmrc - - - - ${npmrc}"
    ];

    # qmpilot.driven=1 on the kernel command line: a program types there and needs a prompt.
    programs.bash.loginShellInit = ''
      case $(tty) in
        /dev/tty1 | /dev/ttyS0)
          if ! grep -qw qmpilot.driven=1 /proc/cmdline; then
            [ "$(tty)" = /dev/ttyS0 ] && fix-stty-size
            ${lib.optionalString config.reproducer.autostart "[ -z \"$TMUX\" ] && reproducer"}
          fi
          ;;
      esac
    '';
    programs.tmux.enable = true;

    users.motd = ''
      Linux with the io_uring bug of nodejs/node#55587 and libuv/libuv#4598.

        reproducer       three panes: npm ci in a loop, ps, and a kill -9 that waits for Enter
        fix-stty-size    tell this terminal's size to the serial line

      When ps shows Dl+ and no progress, press Enter in the last pane, wait two minutes for
      the kernel's report, and try to power off.
    '';

    services.getty.autologinUser = "root";
    system.stateVersion = "24.05";
  };
}
