"""Data never becomes code: a corpus of payloads in places of all five languages, checked by what happens.

Each payload tries to make a file called `pwned`. Where a place takes any value, it must arrive byte for byte; in the
others only whole numbers pass, or the place is refused when the file is validated.
"""

import shutil
import subprocess

import pytest

from helpers import FOREVER
from maxstage import WorkflowError
from maxstage.workflow.format.scripts.filling import fill, problems

TOUCH = "touch pwned"
CODE = [
    TOUCH,
    f"$({TOUCH})",
    f"`{TOUCH}`",
    f"a[$({TOUCH})]",
    f"a[`{TOUCH}`]",
    f"x[$({TOUCH})]=1",
    f"<({TOUCH})",
]
BASH = [
    *CODE,
    f"; {TOUCH};",
    f"| {TOUCH}",
    f"&& {TOUCH} &&",
    f"|| {TOUCH} ||",
    f"\n{TOUCH}\n",
    f"'; {TOUCH}; '",
    f'"; {TOUCH}; "',
    f"'\"; {TOUCH}; \"'",
    f"'$({TOUCH})'",
    f'"$({TOUCH})"',
    f"${{x:-$({TOUCH})}}",
    f"${{a[$({TOUCH})]}}",
    f"$((a[$({TOUCH})]))",
    f"}}; {TOUCH}; {{",
    f"); {TOUCH}; (",
    f")); {TOUCH}; ((",
    f"]]; {TOUCH}; [[",
    f"]; {TOUCH}; [",
    f"esac; {TOUCH}; case x in",
    f"done; {TOUCH}; for x in y; do",
    f"fi; {TOUCH}; if true; then",
    f"END\n{TOUCH}\nEND\n",
    f"E\n{TOUCH}\n",
    f"-va[$({TOUCH})]",
    f"-pa[$({TOUCH})]",
    f"-v\n{TOUCH}",
    f"($({TOUCH}))",
    f"($({TOUCH}) [0]=x)",
    f"[$({TOUCH})]=x",
    f"\\$({TOUCH})",
    f"\\`{TOUCH}\\`",
    f"\\'; {TOUCH}; \\'",
    f'\\"; {TOUCH}; \\"',
    f"1+a[$({TOUCH})]",
    f"16#a[$({TOUCH})]",
    f"1e{TOUCH}",
    f"x/;1e {TOUCH};s/x/",
    f'"){{system("{TOUCH}")}}#',
    f'BEGIN{{system("{TOUCH}")}}',
]
OTHERS = [
    f'"+__import__("os").system("{TOUCH}")+"',
    f"'+__import__('os').system('{TOUCH}')+'",
    f"'''+__import__('os').system('{TOUCH}')+'''",
    f'"""+__import__("os").system("{TOUCH}")+"""',
    f"{{__import__('os').system('{TOUCH}')}}",
    f"\n__import__('os').system('{TOUCH}')\n#",
    f"`+require('child_process').execSync('{TOUCH}')+`",
    f"${{require('child_process').execSync('{TOUCH}')}}",
    f"'+require('child_process').execSync('{TOUCH}')+'",
    f"*/require('child_process').execSync('{TOUCH}')/*",
    f"/;require('child_process').execSync('{TOUCH}');/",
    f"#{{system('{TOUCH}')}}",
    f"#{{`{TOUCH}`}}",
    f'"+`{TOUCH}`+"',
    f"@{{[ `{TOUCH}` ]}}",
    f"${{\\ `{TOUCH}`}}",
    f'".`{TOUCH}`."',
    f"(?{{system('{TOUCH}')}})",
    f"/.system('{TOUCH}')./",
    f"=cut\nsystem('{TOUCH}');",
]
PLAIN = [
    "",
    "{{ x }}",
    "${task.a.output}",
    "x " * 2500,
    "\\",
    "'",
    '"',
    "%s%d\\n",
    "* ? [a] ~ {a,b}",
    " a  b\tc ",
    "\u20ac\u00e9\U0001f600",
    "\udcff\udc80",
    "-n",
    "!!",
    "&",
]
PAYLOADS = [*BASH, *OTHERS, *PLAIN]

ANY = {
    "bash": [
        "printf %s {{ x }}",
        'printf %s "{{ x }}"',
        "printf %s '{{ x }}'",
        "printf %s $'\\x41'$'{{ x }}' | tail -c +2",
        "printf %s $'a\\'{{ x }}\\t' | sed '1s/^a.//;$s/\\t$//'",
        'printf %s $"{{ x }}"',
        'printf %s "$(printf %s {{ x }}; printf .)" | head -c -1',
        'printf %s "$(printf %s "{{ x }}"; printf .)" | head -c -1',
        "printf %s \"`printf %s '{{ x }}'; printf .`\" | head -c -1",
        'v={{ x }}; printf %s "$v"',
        'v="{{ x }}"; printf %s "$v"',
        "v='{{ x }}' ; printf %s \"$v\"",
        'v=a{{ x }}; printf %s "${v#a}"',
        'v=({{ x }} b); printf %s "${v[0]}"',
        'v=([3]={{ x }}); printf %s "${v[3]}"',
        'v[2]={{ x }}; printf %s "${v[2]}"',
        "V={{ x }} printenv V | head -c -1",
        'export V={{ x }}; printf %s "$V"',
        'f() { local v={{ x }}; printf %s "$v"; }; f',
        'f() { printf %s "$1"; }; f {{ x }}',
        'function f { printf %s "$1"; }; f "{{ x }}"',
        "cat <<END | head -c -1\n{{ x }}\nEND",
        "cat <<-END | head -c -1\n{{ x }}\n\tEND",
        "cat <<A <<B | head -c -1\nfirst\nA\n{{ x }}\nB",
        "cat <<< {{ x }} | head -c -1",
        'printf %s "${none:-{{ x }}}"',
        "printf %s ${none:-{{ x }}}",
        'printf %s "${none-"{{ x }}"}"',
        'v=abc; printf %s "${v/b/{{ x }}}" | sed "1s/^a//; \\$s/c\\$//"',
        'v={{ x }}; w="pre$v"; printf %s "${w#pre}"',
        "if true; then printf %s {{ x }}; fi",
        "case {{ x }} in *) printf %s {{ x }};; esac",
        "case a in b) : ;; a) printf %s {{ x }} ;; esac",
        "case a in (a) printf %s {{ x }}; esac",
        'for v in {{ x }}; do printf %s "$v"; done',
        "while true; do printf %s {{ x }}; break; done",
        "{ printf %s {{ x }}; }",
        "( printf %s {{ x }} )",
        "! printf %s {{ x }}",
        "printf %s {{ x }} # it's {{ x }} \"",
        "# {{ x }} it's\nprintf %s {{ x }}",
        "[[ {{ x }} == {{ x }} ]] && printf %s {{ x }}",
        "[[ a{{ x }}b =~ ^a{{ x }}b$ ]] && printf %s {{ x }}",
        "[[ -n {{ x }} && ! -z '{{ x }}' ]] && printf %s {{ x }}",
        "[ {{ x }} = {{ x }} ] && printf %s {{ x }}",
        'test "{{ x }}" != y && printf %s {{ x }}',
        "cat <(printf %s {{ x }})",
        "printf %s {{ x }} > >(cat); wait",
        "printf %s {{ x }} | cat",
        "printf %s {{ x }} 2>&1 >out; cat out",
        "printf %s \\\n  {{ x }}",
        'printf %s "a\\"b{{ x }}" | tail -c +4',
        "printf %s 'it'\\''s'{{ x }} | tail -c +5",
        "(( 1 < 2 )) && printf %s {{ x }}",
        "n=$(( (1 + 2) * 3 )); printf %s {{ x }}",
        'a=(1 2); printf %s "${a[1]#2}{{ x }}"',
        "for ((i = 0; i < 1; i++)); do printf %s {{ x }}; done",
        'set -- {{ x }}; printf %s "$1"',
        "bash -c 'printf %s \"$1\"' _ {{ x }}",
        "env V={{ x }} bash -c 'printf %s \"$V\"'",
        "python3 -c 'import os, sys; os.write(1, os.fsencode(sys.argv[1]))' {{ x }}",
        'awk \'BEGIN { printf "%s", ENVIRON["V"] }\' </dev/null V={{ x }}; printf %s {{ x }}',
        "read -r -d '' v <<< {{ x }}; printf %s {{ x }}",
        'printf -v v %s {{ x }}; printf %s "$v"',
        'declare -r v={{ x }}; printf %s "$v"',
        'declare -a v=({{ x }}); printf %s "${v[0]}"',
        'echo "$(( 1 + 1 ))" >/dev/null; printf %s "{{ x }}"',
        'printf %s "${v:={{ x }}}"',
        "shopt -s extglob\ncase a in @(a|b)) printf %s {{ x }};; esac",
        "coproc cat; printf %s {{ x }}",
        "trap 'true' EXIT; printf %s {{ x }}",
        "sed -n '1p' <<< a >/dev/null; printf %s {{ x }}",
    ],
    "python": [
        "v = {{ x }}",
        "v = '{{ x }}'",
        'v = "{{ x }}"',
        "v = '''{{ x }}'''",
        'v = """{{ x }}"""',
        "v = u'{{ x }}'",
        "v = b'{{ x }}'",
        'v = B"{{ x }}"',
        "v = b'''{{ x }}'''",
        "v = r'{{ x }}'",
        'v = R"{{ x }}"',
        "v = r'''{{ x }}'''",
        "v = rb'{{ x }}'",
        "v = Br'''{{ x }}'''",
        "v = f'{{ x }}'",
        "v = f'{1}{{ x }}{2}'[1:-1]",
        "v = f'''{'a'}{{ x }}'''[1:]",
        "v = rf'{1}\\a{{ x }}'[3:]",
        'v = fR"{{ x }}"',
        "v = 'it\\'s{{ x }}'[4:]",
        "# don't {{ x }}\nv = {{ x }}  # {{ x }} \"",
        "v = ('a' '{{ x }}')[1:]",
        "v = {'k': {{ x }}}['k']",
        "v = '%s' % {{ x }}",
        "v = [\"{{ x }}\", '#'][0]",
        '"""A text with {{ x }}: it\'s."""\nv = {{ x }}',
    ],
    "javascript": [
        "v = {{ x }}",
        "v = '{{ x }}'",
        'v = "{{ x }}"',
        "v = `{{ x }}`",
        "v = `${1}{{ x }}`.slice(1)",
        "v = `${ {{ x }} }`",
        "v = `${ '{{ x }}' }`",
        "v = `a${ `{{ x }}` }`.slice(1)",
        "v = {{ x }} // it's {{ x }}",
        "/* {{ x }} ' */ v = {{ x }}",
        "v = /^{{ x }}$/.test({{ x }}) ? {{ x }} : 'no'",
        "v = /['\"`]/ ? '{{ x }}' : 0",
        'v = (4 + 2) / 2 / 1 ? "{{ x }}" : 0',
        "v = {k: '{{ x }}'}.k",
        "v = [{{ x }}][0]",
        "v = 'a\\'{{ x }}'.slice(2)",
        "v = (() => { return `{{ x }}` })()",
    ],
    "ruby": [
        "$v = {{ x }}",
        '$v = "{{ x }}"',
        "$v = %Q({{ x }})",
        "$v = %({{ x }})",
        "$v = %{a{b}{{ x }}}[4..]",
        '$v = "#{1}{{ x }}"[1..]',
        '$v = "#{ {{ x }} }"',
        '$v = "#{ "{{ x }}" }"',
        "$v = <<END\n{{ x }}\nEND\n$v = $v[0...-1]",
        "$v = <<~END.chomp\n{{ x }}\nEND",
        '$v = <<-"END".chomp\n{{ x }}\n  END',
        "# it's {{ x }}\n$v = {{ x }} # {{ x }}",
        "=begin\nit's {{ x }}\n=end\n$v = {{ x }}",
        "$v = [{{ x }}][0]",
        "$v = {k: {{ x }}}[:k]",
        '$v = 6 / 2 / 1 > 0 ? "{{ x }}" : 0',
        "$v = ?a + {{ x }}\n$v = $v[1..]",
    ],
    "perl": [
        "$v = {{ x }};",
        '$v = "{{ x }}";',
        "$v = qq({{ x }});",
        "$v = qq{a{b}{{ x }}}; $v = substr($v, 4);",
        "$v = qq|{{ x }}|;",
        "$v = <<END; chop $v;\n{{ x }}\nEND\n",
        '$v = <<"END"; chop $v;\n{{ x }}\nEND\n',
        "# it's {{ x }}\n$v = {{ x }}; # {{ x }}",
        "$v = {{ x }} =~ /^{{ x }}\\z/ ? {{ x }} : 'no';",
        "$v = {{ x }} =~ m{^{{ x }}\\z} ? {{ x }} : 'no';",
        "$v = 'b'; $v =~ s/b/{{ x }}/;",
        "$v = 'b'; $v =~ s{b}{{{ x }}};",
        "my %h = (q => {{ x }}); $v = $h{q};",
        "my @a = ({{ x }}); $v = $a[$#a];",
        '$v = 6 / 2 / 1 > 0 ? "{{ x }}" : 0;',
        "=pod\n\nit's {{ x }}\n\n=cut\n\n$v = {{ x }};",
        "$v = join('', {{ x }}, '');",
    ],
}
WHOLE_NUMBERS = [
    "exec 5>&1; printf yes >&{{ x }}",
    "exec 5>out; printf yes 2>&1 1>&{{ x }}; cat out",
    "exec 5<<< yes; cat <&{{ x }}",
    "[[ {{ x }} -gt 3 ]] && printf yes",
    "[[ 3 -lt {{ x }} ]] && printf yes",
    '[[ "{{ x }}" -ge 5 ]] && printf yes',
    "[[ '{{ x }}' -ne 3 ]] && printf yes",
    "[[ -n a && ( {{ x }} -eq 5 ) ]] && printf yes",
    "(( {{ x }} > 3 )) && printf yes",
    '(( "{{ x }}" > 3 )) && printf yes',
    "if (( 1 + {{ x }} == 6 )); then printf yes; fi",
    "(( $(( {{ x }} )) == 5 )) && printf yes",
    '[ "$(( {{ x }} + 1 ))" = 6 ] && printf yes',
    "[ $[ {{ x }} + 1 ] = 6 ] && printf yes",
    "[ `echo $(( {{ x }} ))` = 5 ] && printf yes",
    "let n={{ x }}+1; [ $n = 6 ] && printf yes",
    'let "n = {{ x }}"; [ $n = 5 ] && printf yes',
    "builtin let n={{ x }}; [ $n = 5 ] && printf yes",
    'v=abcdefg; [ "${v:{{ x }}}" = fg ] && printf yes',
    "v=abcdefg; [ ${v:0:{{ x }}} = abcde ] && printf yes",
    'v=abcdefg; [ "${v:${none:-{{ x }}}}" = fg ] && printf yes',
    'a=(0 1 2 3 4 e); [ "${a[{{ x }}]}" = e ] && printf yes',
    'a=(0 1 2 3 4 e); [ "${a[{{ x }}]#x}" = e ] && printf yes',
    "a[{{ x }}]=e; [ ${a[5]} = e ] && printf yes",
    "a[{{ x }}]+=e; [ ${a[5]} = e ] && printf yes",
    "a=([{{ x }}]=e); [ ${a[5]} = e ] && printf yes",
    "declare -i n={{ x }}; [ $n = 5 ] && printf yes",
    "declare -i n; n={{ x }}; [ $n = 5 ] && printf yes",
    "typeset -ri n={{ x }}; [ $n = 5 ] && printf yes",
    "f() { local -i n; n+={{ x }}; [ $n = 5 ]; }; f && printf yes",
    "declare -ia a=(1 {{ x }}); [ ${a[1]} = 5 ] && printf yes",
    "OPTIND={{ x }}; printf yes",
    "RANDOM={{ x }}; printf yes",
    "for ((i = 0; i < {{ x }}; i++)); do :; done; [ $i = 5 ] && printf yes",
    "cat <<END\nyes$(( {{ x }} - {{ x }} ))\nEND",
    "echo $(( {{ x }} ? 1 : 0 )) >/dev/null; printf yes",
    "n=5; [[ $n -eq {{ x }} ]] && printf yes",
    'sed -n {{ x }}p <<< "$(seq 9)" | grep -q 5 && printf yes',
    "seq 9 | awk 'NR=={{ x }}' | grep -q 5 && printf yes",
    "case $(( {{ x }} )) in 5) printf yes;; esac",
]
NAMES = [
    "read {{ x }} <<< a",
    "printf -v {{ x }} a",
    "printf -v '{{ x }}' %s a",
    "unset {{ x }}",
    "unset -v '{{ x }}'",
    "export {{ x }}",
    "declare {{ x }}",
    "mapfile {{ x }} <<< a",
    "readarray -t {{ x }} <<< a",
    "getopts ab {{ x }} -a",
    "[[ -v {{ x }} ]]",
    "[ -v {{ x }} ]",
    "test -v '{{ x }}'",
    'test -v "{{ x }}"',
    "[[ ! -v {{ x }} ]]",
]
OPTIONS = [
    "printf {{ x }} a",
    "printf '{{ x }}%s' a",
    "wait {{ x }}",
    "[ {{ x }} {{ x }} ]",
    "python3 {{ x }}",
    "bash {{ x }} {{ x }}",
]
"""Places where a value that begins with a dash would be an option."""
REFUSED = {
    "bash": [
        "cat <<< {{ x }} > >(bash); sleep .1",
        "tee >(bash) <<< {{ x }}",
        "cat <<E > >(sh)\n{{ x }}\nE",
        "exec 3> >(sh); echo {{ x }} >&3; exec 3>&-",
        "coproc sh; echo {{ x }} >&${COPROC[1]}",
        "f() { sh; }; echo {{ x }} | f",
        "f() { sh; }; f <<< {{ x }}",
        "f() { echo {{ x }}; }; f | sh",
        "{ sh; } <<< {{ x }}",
        "( cat | sh ) <<E\n{{ x }}\nE",
        "while true; do sh; break; done <<< {{ x }}",
        "exec <<< {{ x }}; sh",
        "echo {{ x }} | xargs -I% sh -c %",
        "echo {{ x }} | xargs -0 bash -c",
        "env BASH_ENV=<(echo {{ x }}) bash -c true",
        "flock f -c {{ x }}",
        "script -qc {{ x }} /dev/null",
        "split --filter={{ x }} /etc/hostname",
        "eval {{ x }}",
        'eval "echo {{ x }}"',
        "eval 'echo {{ x }}'",
        'eval "$(printf %s {{ x }})"',
        "command eval {{ x }}",
        "builtin eval {{ x }}",
        "\\eval {{ x }}",
        "trap {{ x }} EXIT",
        "trap 'echo {{ x }}' EXIT",
        "bash -c {{ x }}",
        "bash -c 'echo {{ x }}'",
        'sh -ec "echo {{ x }}"',
        "/bin/sh -c 'echo {{ x }}'",
        "env A=1 bash -lc 'echo {{ x }}'",
        'timeout 5 bash -c "echo {{ x }}"',
        "find . -maxdepth 0 -exec sh -c 'echo {{ x }}' \\;",
        "echo a | xargs -I{} sh -c 'echo {{ x }}'",
        "python3 -c 'print(\"{{ x }}\")'",
        "perl -e 'print \"{{ x }}\"'",
        "node -e 'console.log(\"{{ x }}\")'",
        "bash <<END\necho {{ x }}\nEND",
        "bash -s <<END\necho {{ x }}\nEND",
        "bash -o pipefail <<END\necho {{ x }}\nEND",
        "cat <<END |\necho {{ x }}\nEND\n  tr a b |\n  bash",
        "echo \\{{ x }}",
        "sudo bash <<END\necho {{ x }}\nEND",
        "python3 - <<END\nprint('{{ x }}')\nEND",
        "cat <<END | bash\necho {{ x }}\nEND",
        "bash <<< 'echo {{ x }}'",
        "bash <<< {{ x }}",
        "echo 'echo {{ x }}' | bash",
        "printf '%s\\n' {{ x }} | cat | sh",
        "{ echo {{ x }}; } | bash",
        "( echo {{ x }} ) | bash",
        "for i in a; do echo {{ x }}; done | bash",
        "source <(echo {{ x }})",
        ". /dev/stdin <<< {{ x }}",
        "bash < <(echo {{ x }})",
        "bash <(echo {{ x }})",
        "[[ $(echo {{ x }}) -gt 3 ]]",
        "(( $(echo {{ x }}) > 3 ))",
        "echo $(( $(cat <<< {{ x }}) ))",
        "a[$(echo {{ x }})]=1",
        "let n=$(echo {{ x }})",
        "declare -i n=$(echo {{ x }})",
        "v=a; echo ${v:$(echo {{ x }})}",
        "echo ${{{ x }}}",
        "echo ${!{{ x }}}",
        "v=a; echo ${v@{{ x }}}",
        "declare {{ x }}=1",
        "declare 'a{{ x }}=1'",
        "declare -a a={{ x }}",
        "declare -A a='{{ x }}'",
        "declare -n r={{ x }}",
        "a=(1); declare a={{ x }}",
        "PS4={{ x }}; set -x; true",
        "PROMPT_COMMAND={{ x }}",
        "BASH_ENV={{ x }} bash -c true",
        "compgen -W {{ x }}",
        "alias e={{ x }}",
        "mapfile -C {{ x }} -c 1 a <<< a",
        "$(echo {{ x }})",
        "`echo {{ x }}` a",
        "${none:-echo {{ x }}}",
        "echo a >&$(echo {{ x }})",
        "cat <<'END'\n{{ x }}\nEND",
        "cat <<\\END\n{{ x }}\nEND",
        "$((echo {{ x }}) | cat)",
        "((echo {{ x }}); echo)",
        "echo `echo \\`echo {{ x }}\\``",
        'echo "{{ x }}',
        "echo $(echo {{ x }}",
        "cat <<END\n{{ x }}\n",
        'sed -e "$(echo {{ x }})" <<< a',
    ],
    "python": [
        "v = r'a\\{{ x }}'",
        "v = 'a\\{{ x }}'",
        "v = f'{ {{ x }} }'",
        "v = f'{1:{{ x }}}'",
        "v = eval('{{ x }}')",
        "exec({{ x }})",
        "import os; os.system('echo {{ x }}')",
        "v = '{{ x }}",
    ],
    "javascript": [
        "v = String.raw`{{ x }}`",
        "v = eval('{{ x }}')",
        "v = '{{ x }}",
        "new Function('{{ x }}')",
    ],
    "ruby": [
        "$v = '{{ x }}'",
        "$v = %q({{ x }})",
        "$v = %w[{{ x }}]",
        "$v = %W[{{ x }}]",
        "$v = `echo {{ x }}`",
        "$v = %x(echo {{ x }})",
        "$v = <<'END'\n{{ x }}\nEND",
        "$v = <<`END`\necho {{ x }}\nEND",
        'system("echo {{ x }}")',
        'eval "{{ x }}"',
    ],
    "perl": [
        "$v = '{{ x }}';",
        "$v = q({{ x }});",
        "$v = qw({{ x }});",
        "$v = `echo {{ x }}`;",
        "$v = qx(echo {{ x }});",
        "$v = <<'END';\n{{ x }}\nEND\n",
        "$v = <<`END`;\necho {{ x }}\nEND\n",
        "$v = 'a'; $v =~ s/a/{{ x }}/e;",
        "$v = 'a'; $v =~ s/a/'\"{{ x }}\"'/ee;",
        'system("echo {{ x }}");',
        'eval "{{ x }}";',
        '$v = "@{[ {{ x }} ]}";',
    ],
}

DRIVERS = {
    "bash": ["bash", "-c", 'for f in "$@"; do ( . "$f" ) >"$f.out" 2>"$f.err" </dev/null; done', "_"],
    "python": [
        "python3",
        "-c",
        (
            "import sys\nfor f in sys.argv[1:]:\n g = {}\n exec(compile(open(f, 'rb').read(), f, 'exec'), g)\n"
            " v = g['v']\n v = v if isinstance(v, bytes) else v.encode('utf-8', 'surrogateescape')\n"
            " open(f + '.out', 'wb').write(v)"
        ),
    ],
    "javascript": [
        "node",
        "-e",
        (
            "const fs = require('fs'), vm = require('vm'); globalThis.require = require;"
            "for (const f of process.argv.slice(1)) { globalThis.v = '';"
            " vm.runInThisContext(fs.readFileSync(f, 'utf8'));"
            " fs.writeFileSync(f + '.out', v) }"
        ),
    ],
    "ruby": ["ruby", "-e", "ARGV.each { |f| load f; File.binwrite(f + '.out', $v) }"],
    "perl": [
        "perl",
        "-e",
        'for my $f (@ARGV) { $v = ""; do $f; die "$f: $@" if $@; open(my $o, ">", "$f.out"); print $o $v }',
    ],
}


def run(language, placement, payloads, folder):
    """Run a script once with each payload; return what each printed."""
    files = []
    for number, payload in enumerate(payloads):
        file = folder / f"{number:03}"
        text = fill(language, placement, lambda _, payload=payload: payload)
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        files.append(str(file))
    done = subprocess.run([*DRIVERS[language], *files], capture_output=True, cwd=folder, timeout=FOREVER)
    assert not (folder / "pwned").exists()
    assert not done.stderr, done.stderr[-2000:]
    return [(folder / f"{number:03}.out").read_bytes() for number in range(len(payloads))]


def cases(table):
    return [
        pytest.param(
            language,
            place,
            id=f"{language}-{number}",
            marks=pytest.mark.skipif(
                shutil.which(DRIVERS[language][0]) is None, reason=f"{language} is not installed"
            ),
        )
        for language, places in table.items()
        for number, place in enumerate(places)
    ]


def test_the_corpus_is_large():
    assert len({*BASH, *PLAIN}) >= 60
    assert len(ANY["bash"]) >= 60
    assert sum(len(places) for places in ANY.values()) >= 140


@pytest.mark.parametrize(("language", "placement"), cases(ANY))
def test_any_value_arrives_as_it_is(language, placement, tmp_path):
    assert problems(language, placement) == []
    payloads = [*BASH, *PLAIN] if language == "bash" else PAYLOADS
    if language == "javascript":
        # Its texts can't hold bytes that are no characters.
        payloads = [payload for payload in PAYLOADS if "\udcff" not in payload]
    got = run(language, placement, payloads, tmp_path)
    for payload, output in zip(payloads, got, strict=True):
        assert output == payload.encode("utf-8", "surrogateescape"), placement


@pytest.mark.parametrize("placement", WHOLE_NUMBERS)
def test_what_is_computed_takes_whole_numbers_alone(placement, tmp_path):
    assert problems("bash", placement) == []
    for payload in PAYLOADS:
        with pytest.raises(WorkflowError, match=r"\{\{ x \}\} is used in arithmetic"):
            fill("bash", placement, lambda _, payload=payload: payload)
    assert [output[:3] for output in run("bash", placement, ["5", 5, " 5", "005"], tmp_path)] == [b"yes"] * 4
    run("bash", placement, ["-3", "0"], tmp_path)


@pytest.mark.parametrize("placement", NAMES)
def test_names_of_variables_are_names(placement, tmp_path):
    assert problems("bash", placement) == []
    for payload in PAYLOADS:
        with pytest.raises(WorkflowError, match="must be the name of a variable"):
            fill("bash", placement, lambda _, payload=payload: payload)
    run("bash", placement, ["v"], tmp_path)


@pytest.mark.parametrize("placement", OPTIONS)
def test_what_would_be_an_option_fails(placement, tmp_path):
    assert problems("bash", placement) == []
    good = [payload for payload in PAYLOADS if not payload.startswith("-")]
    for payload in set(PAYLOADS) - set(good):
        with pytest.raises(WorkflowError, match="begins with '-'"):
            fill("bash", placement, lambda _, payload=payload: payload)
    run("bash", placement, good, tmp_path)


@pytest.mark.parametrize(("language", "placement"), cases(REFUSED))
def test_where_a_value_would_be_code_it_is_refused(language, placement):
    assert problems(language, placement)


@pytest.mark.parametrize(
    "name", ["eval", "let", "bash", "/bin/sh", "python3.11", "printf", "sudo", "awk", ".", "test"]
)
def test_a_value_that_names_the_command(name, tmp_path):
    assert problems("bash", "{{ x }} a {{ x }}") == []
    with pytest.raises(WorkflowError, match="names the command"):
        fill("bash", "{{ x }} a {{ x }}", lambda _: name)
    run("bash", "{{ x }} a {{ x }} b", PAYLOADS, tmp_path)
    assert run("bash", "{{ x }}", ["pwd"], tmp_path) == [f"{tmp_path}\n".encode()]


@pytest.mark.parametrize(
    "value", ["1.5", "", "1 2", "0x10", "1e3", "9" * 19, "five", "1\n;2", None, True, [1]]
)
def test_what_is_no_whole_number(value):
    with pytest.raises(WorkflowError, match="not a whole number"):
        fill("bash", "(( {{ x }} ))", lambda _: value)
