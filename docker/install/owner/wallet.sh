# Checks the hotkey's file. The scripts read and send it without making a copy, and never open the coldkey.

# Checks the hotkey's file and the wallet around it. Sets hotkey_address, and coldkeypub to the path of coldkeypub.txt
# if the wallet has it.
check_hotkey() {
  hotkey_address='' coldkeypub=''
  [ -n "$hotkey_path" ] || return 0
  # In quotes, the shell that called this script did not expand the ~.
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
    problem "$file cannot be read by $(id -un)" 'check its owner and mode: ls -l'
  elif head -c 16 "$file" | grep -aEq '^([$]NACL|[$]ANSIBLE|gAAAA)'; then
    problem "$file is encrypted, and a $ROLE cannot ask for its password" \
      'make a hotkey without a password: btcli wallet new-hotkey --no-use-password'
  else
    read_hotkey "$file" "$folder"
  fi
}

# Checks the content of the hotkey's file, and compares it with coldkeypub.txt.
read_hotkey() { # read_hotkey FILE FOLDER
  local owner
  hotkey_address=$(address_in "$1")
  if [ -z "$hotkey_address" ]; then
    problem "$1 is not a hotkey's file: it contains no address" \
      'pass a file that btcli wallet new-hotkey or regen-hotkey made'
    return
  fi
  if ! grep -Eq '"(secretSeed|secretPhrase|privateKey)" *: *"' "$1"; then
    problem "$1 contains the public part of a key only" \
      'pass the file of the hotkey, in the folder hotkeys of the wallet'
    return
  fi
  # A wallet has coldkeypub.txt beside its folder hotkeys.
  if [ -r "$2/../coldkeypub.txt" ]; then
    coldkeypub=$2/../coldkeypub.txt
    owner=$(address_in "$coldkeypub")
    if [ "$owner" = "$hotkey_address" ]; then
      problem "$1 is the wallet's coldkey under another name, which stays on your machine" 'pass the file of a hotkey'
    fi
    if grep -Eq '"(secretSeed|secretPhrase)" *: *"' "$coldkeypub"; then
      problem "$coldkeypub contains a secret: it is not the public part of the coldkey" \
        'make it again: btcli wallet regen-coldkeypub'
    fi
  fi
}

# Prints the address in a key's file, or nothing.
address_in() { # address_in FILE
  sed -n 's/.*"ss58Address" *: *"\([1-9A-HJ-NP-Za-km-z]\{40,60\}\)".*/\1/p' "$1" 2>/dev/null | head -n 1
}
