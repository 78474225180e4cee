# The hotkey. Its file is looked at and sent; it is never copied on this machine, and the coldkey is never opened.

check_hotkey() {
  hotkey_address='' coldkeypub=''
  [ -n "$hotkey_path" ] || return 0
  # A quoted ~ was not expanded by the shell.
  # shellcheck disable=SC2088
  case $hotkey_path in '~/'*) hotkey_path=$HOME/${hotkey_path#??} ;; esac
  local file=$hotkey_path folder=${hotkey_path%/*} example
  # shellcheck disable=SC2088
  example='~/.bittensor/wallets/WALLET/hotkeys/HOTKEY'
  if [ "$folder" = "$file" ]; then folder=.; fi
  if [ -d "$file" ]; then
    problem "$file is a folder" "pass the file of the hotkey: $example"
  elif [ ! -e "$file" ]; then
    problem "there is no file $file" "pass the file of the hotkey: $example; list them: btcli wallet list"
  elif [ "${file##*/}" = coldkey ]; then
    problem "$file is a coldkey, which stays on your machine" "pass the file of the hotkey: $example"
  elif [ ! -r "$file" ]; then
    problem "$file cannot be read by $(id -un)" 'see its owner and mode: ls -l'
  elif head -c 16 "$file" | grep -aEq '^([$]NACL|[$]ANSIBLE|gAAAA)'; then
    problem "$file is encrypted, and the $ROLE has nobody to type its password" \
      'make a hotkey without a password: btcli wallet new-hotkey --no-use-password'
  else
    read_hotkey "$file" "$folder"
  fi
}

read_hotkey() { # read_hotkey FILE FOLDER
  local owner
  hotkey_address=$(address_of "$1")
  if [ -z "$hotkey_address" ]; then
    problem "$1 is not a hotkey's file: it names no address" 'pass a file that btcli wallet new-hotkey or regen-hotkey made'
    return
  fi
  if ! grep -Eq '"(secretSeed|secretPhrase|privateKey)" *: *"' "$1"; then
    problem "$1 holds the public part of a key only" 'pass the file of the hotkey, in the folder hotkeys of the wallet'
    return
  fi
  # A wallet's folder has coldkeypub.txt beside the folder hotkeys.
  if [ -r "$2/../coldkeypub.txt" ]; then
    coldkeypub=$2/../coldkeypub.txt
    owner=$(address_of "$coldkeypub")
    if [ "$owner" = "$hotkey_address" ]; then
      problem "$1 is the wallet's coldkey under another name, which stays on your machine" 'pass the file of a hotkey'
    fi
    if grep -Eq '"(secretSeed|secretPhrase)" *: *"' "$coldkeypub"; then
      problem "$coldkeypub holds a secret: it is not the public part of the coldkey" 'make it anew: btcli wallet regen-coldkeypub'
    fi
  fi
}

address_of() { sed -n 's/.*"ss58Address" *: *"\([1-9A-HJ-NP-Za-km-z]\{40,60\}\)".*/\1/p' "$1" 2>/dev/null | head -n 1; }
