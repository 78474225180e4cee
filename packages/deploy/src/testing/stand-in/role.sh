# A role that reads its wallet, as a real one does, and then does nothing until it is stopped.
trap 'exit 0' TERM
if [ "$HEALTHY" = exits ]; then
  echo 'This version ends at its start.'
  exit 1
fi
echo "Started as $(id -u)."
touch /tmp/started
while :; do
  sleep 3600 &
  wait $!
done
