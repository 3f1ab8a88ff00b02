"""Decoder: against the blocks of PyTorch, a slow float64 loop, and what greedy writing must give."""

import math

import pytest
import torch
from torch import nn

from kontrast.core.errors import UserError
from kontrast.layers.decoder import AttentionPool, Decoder, DecoderBlock

B, L, P, H, K = 3, 5, 4, 8, 2
MASK = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 1, 0]]).bool()


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def block_of_torch(block):
    """PyTorch's block with the same weights."""
    theirs = nn.TransformerDecoderLayer(
        H, K, 4 * H, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    with torch.no_grad():
        for ours, part in ((block.itself, theirs.self_attn), (block.across, theirs.multihead_attn)):
            part.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
            part.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
            part.out_proj.load_state_dict(ours.out.state_dict())
    for ours, part in zip(block.norms, (theirs.norm1, theirs.norm2, theirs.norm3), strict=True):
        nn.init.normal_(ours.weight)
        part.load_state_dict(ours.state_dict())
    theirs.linear1.load_state_dict(block.inner[0].state_dict())
    theirs.linear2.load_state_dict(block.inner[2].state_dict())
    return theirs


@pytest.mark.parametrize("mask", [None, MASK])
def test_a_block_is_that_of_pytorch(mask):
    torch.manual_seed(0)
    block, x, features = DecoderBlock(width=H, heads=K).double(), drawn(B, L, H), drawn(B, P, H)
    theirs = block_of_torch(block)
    after = nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64)
    wanted = theirs(x, features, tgt_mask=after, memory_key_padding_mask=None if mask is None else ~mask)
    torch.testing.assert_close(block(x, features, None if mask is None else mask[:, None]), wanted)


def test_a_pool_is_the_attention_of_pytorch():
    torch.manual_seed(0)
    pool, features = AttentionPool(queries=3, width=H, heads=K).double(), drawn(B, P, H)
    theirs = nn.MultiheadAttention(H, K, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([pool.attention.query.weight, pool.attention.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([pool.attention.query.bias, pool.attention.key_value.bias]))
        theirs.out_proj.load_state_dict(pool.attention.out.state_dict())
    wanted = theirs(pool.queries.expand(B, -1, -1), features, features, key_padding_mask=~MASK)[0]
    torch.testing.assert_close(pool(features, MASK[:, None]), pool.norm(wanted))


def next_logits(decoder, text, features):
    """Logits of the token after a prefix, from the prefix alone."""
    x = decoder.tokens.weight[[decoder.edge, *text]] + decoder.places.weight[: len(text) + 1]
    for block in decoder.blocks:
        x = block(x[None], features[None])[0]
    return decoder.tokens.weight @ decoder.norm(x[-1])


def slow(decoder, text, features):
    """Negative log-likelihood of one text, token by token."""
    total = 0.0
    for n, token in enumerate([*text, decoder.edge][: decoder.length]):
        logits = next_logits(decoder, text[:n], features).tolist()
        total += math.log(sum(math.exp(v) for v in logits)) - logits[token]
    return total


@pytest.mark.parametrize("length", [64, 3])
def test_the_loss_is_the_sum_over_tokens_and_end_each_predicted_from_its_prefix(length):
    torch.manual_seed(0)
    decoder = Decoder(vocabulary=7, width=H, heads=K, length=length).double()
    nn.init.normal_(decoder.tokens.weight)
    texts, features = [[3, 0, 6, 2], [5], []], drawn(B, P, H)
    padded = torch.tensor([[*text, *[-1] * (4 - len(text))] for text in texts])
    wanted = [slow(decoder, text, f[m]) for text, f, m in zip(texts, features, MASK, strict=True)]
    found = decoder(padded, features, MASK)
    assert found.tolist() == pytest.approx(wanted)
    assert (decoder.wanted(padded) >= 0).sum(1).tolist() == [min(len(t) + 1, length) for t in texts]
    longer = decoder(nn.functional.pad(padded, (0, 3), value=-1), features, MASK)
    torch.testing.assert_close(longer, found)


def test_greedy_writing_takes_the_likeliest_token_after_each_and_stops_at_the_end():
    torch.manual_seed(1)
    decoder = Decoder(vocabulary=5, width=H, heads=K, length=6).double()
    nn.init.normal_(decoder.tokens.weight)
    nn.init.normal_(decoder.places.weight)
    features = 3 * drawn(20, P, H)
    said = decoder.greedy(features)
    lengths = set()
    for row, one in zip(said, features, strict=True):
        text = []
        while len(text) < decoder.length:
            best = int(next_logits(decoder, text, one).argmax())
            if best == decoder.edge:
                break
            text.append(best)
        assert [t for t in row.tolist() if t >= 0] == text
        assert (row[len(text) :] == -1).all()
        lengths.add(len(text))
    assert len(lengths) > 1
    assert decoder.greedy(features[:0]).shape[0] == 0


def test_a_decoder_that_cannot_be_is_refused():
    with pytest.raises(UserError, match="heads that divide the width"):
        Decoder(vocabulary=5, width=10, heads=4)
    with pytest.raises(UserError, match="expected 1 or more of each"):
        Decoder(vocabulary=5, width=8, layers=0)
