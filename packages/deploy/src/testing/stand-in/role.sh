# The program of a stand-in image: runs until it is stopped and does nothing else.
trap 'exit 0' TERM
if [ -n "$EXITS_AT_START" ]; then
  echo 'This version ends at its start.'
  exit 1
fi
echo "Started as $(id -u)."
touch /tmp/started
while :; do
  sleep 3600 &
  wait $!
done
